/**
 * `POST /oauth/revoke` (RFC 7009): a client that signs out gives back what it holds. A session
 * of ours ends on every replica; anything else may be the provider's refresh token and is given
 * back to the provider. Unknown tokens are fine: there is nothing left to end. Two sign-ins of one
 * person in one second are one and the same session token, and end together.
 */
import type { Exchange, Handler, Reply } from '../http/exchange.ts'
import { noStore } from '../http/reply.ts'
import { fail } from '../kernel/errors.ts'
import { readForm } from './form.ts'
import type { Parts } from './parts.ts'

export function createRevoke(parts: Parts): Handler {
  const { sessions, revocations, provider, budget } = parts
  return async (exchange) => {
    const token = (await readForm(exchange))?.get('token') ?? ''
    if (token === '') return fail('oauth/invalid-request')
    if (!revocations.active) return fail('oauth/temporarily-unavailable')
    if (sessions.isOurs(token)) {
      const session = await sessions.inspect(token)
      if (session === null) return done
      const { caller, signedPart } = session
      const kept = await budget.attempt(() => revocations.add(signedPart, caller.expiresAt))
      const { sub } = caller
      if (kept !== null) return record(parts, exchange, { token: 'session', sub })
      return refuse(parts, exchange, { token: 'session', sub, err: 'store unavailable' })
    }
    const given = await provider.revoke(token, exchange.requestId)
    if (given.ok) return record(parts, exchange, { token: 'refresh_token' })
    return refuse(parts, exchange, { token: 'refresh_token', err: given.failure.reason })
  }
}

const done: Reply = { status: 200, headers: noStore, body: '' }

interface Ended {
  readonly token: 'session' | 'refresh_token'
  readonly sub?: string
  readonly err?: string
}

function record({ audit }: Parts, exchange: Exchange, { token, sub, err }: Ended): Reply {
  audit('session.revoke', {
    request_id: exchange.requestId,
    result: err === undefined ? 'success' : 'fail',
    token,
    sub,
    client_ip: exchange.clientAddress,
    err,
  })
  return done
}

/** What was not ended must not look as if it were. */
function refuse(parts: Parts, exchange: Exchange, ended: Ended): never {
  parts.log.warn(`revocation failed request_id=${exchange.requestId}: ${ended.err ?? ''}`)
  record(parts, exchange, ended)
  return fail('oauth/temporarily-unavailable')
}
