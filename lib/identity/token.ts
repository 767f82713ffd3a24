/**
 * `POST /oauth/token`: a device polls for its grant (RFC 8628 section 3.4) or trades its refresh
 * token for a new session (RFC 6749 section 6). Clients read `access_token`, `expires_in` and
 * the error codes; everything else is for people.
 */
import { createHash } from 'node:crypto'
import type { Exchange, Handler, Reply } from '../http/exchange.ts'
import { json, noStore } from '../http/reply.ts'
import { fail } from '../kernel/errors.ts'
import { createSingleFlight } from '../kernel/single-flight.ts'
import { readForm } from './form.ts'
import type { Failure, Outcome } from './outcome.ts'
import type { Parts } from './parts.ts'
import type { SignedIn } from './provider.ts'

export function createTokenEndpoint(parts: Parts): Handler {
  const poll = createPoll(parts)
  const refresh = createRefresh(parts)
  return async (exchange) => {
    const form = await readForm(exchange)
    if (form === null) return fail('oauth/invalid-request')
    switch (form.get('grant_type') ?? '') {
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return poll(exchange, form.get('device_code') ?? '')
      case 'refresh_token':
        return refresh(exchange, form.get('refresh_token') ?? '')
      default:
        return fail('oauth/unsupported-grant-type')
    }
  }
}

function createPoll(parts: Parts): (exchange: Exchange, deviceCode: string) => Promise<Reply> {
  const { grants, budget, log } = parts
  return async (exchange, deviceCode) => {
    if (deviceCode === '') return fail('oauth/invalid-request')
    const result = await budget.require(() => grants.poll(deviceCode))
    if (log.debugs) log.debug(`device poll request_id=${exchange.requestId}: ${result.kind}`)
    switch (result.kind) {
      case 'pending':
        return fail('oauth/authorization-pending')
      case 'slow-down':
        return fail('oauth/slow-down')
      case 'denied':
        return fail('oauth/access-denied')
      case 'expired':
        return fail('oauth/expired-token')
      case 'approved':
        return answerTokens(parts, result.signedIn)
    }
  }
}

function createRefresh(parts: Parts): (exchange: Exchange, refreshToken: string) => Promise<Reply> {
  const { provider, options, audit } = parts
  // Two processes of one person refresh at the same moment; a provider that rotates would take
  // the second try for theft and end the session for good.
  const share = createSingleFlight<Outcome<SignedIn>>()
  return async (exchange, refreshToken) => {
    if (refreshToken === '') return fail('oauth/invalid-request')
    const { requestId, clientAddress } = exchange
    const flight = createHash('sha256').update(refreshToken).digest('base64url')
    const renewed = await share(flight, () => provider.renew(refreshToken, requestId))
    if (!renewed.ok) return refuseRefresh(parts, exchange, renewed.failure)
    const { sub, email } = renewed.value.person
    audit('session.refresh', {
      request_id: requestId,
      result: 'success',
      sub,
      email,
      client_ip: clientAddress,
      ttl_hours: options.session.ttl_hours,
    })
    return answerTokens(parts, renewed.value)
  }
}

/** 401 makes the client forget its refresh token, so it is only for a real refusal. */
function refuseRefresh(
  { log, audit }: Parts,
  { requestId, clientAddress }: Exchange,
  { step, refused, reason }: Failure,
): never {
  const answer = refused ? 'invalid_grant' : 'temporarily_unavailable'
  log.warn(`refresh failed request_id=${requestId}: ${reason} (at ${step}, answered ${answer})`)
  audit('session.refresh', {
    request_id: requestId,
    result: 'fail',
    client_ip: clientAddress,
    err: reason,
    step,
    answer,
  })
  return fail(refused ? 'oauth/invalid-grant' : 'oauth/temporarily-unavailable')
}

/** Field order is the wire's; `email` comes last and makes the client ask whose session it is. */
async function answerTokens(
  { sessions }: Parts,
  { person, refresh_token }: SignedIn,
): Promise<Reply> {
  const { token, expiresInSeconds } = await sessions.mint(person)
  return json(
    200,
    {
      access_token: token,
      refresh_token,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
      email: person.email === '' ? undefined : person.email,
    },
    noStore,
  )
}
