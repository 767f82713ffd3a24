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
  const { sessions, revocations, provider, budget, log } = parts
  return async (exchange) => {
    const token = (await readForm(exchange))?.get('token') ?? ''
    if (token === '') return fail('oauth/invalid-request')
    if (!revocations.active) return fail('oauth/temporarily-unavailable')
    if (sessions.isOurs(token)) {
      const session = await sessions.inspect(token)
      if (session === null) return done
      const { caller, signedPart } = session
      await budget.require(() => revocations.add(signedPart, caller.expiresAt))
      record(parts, exchange, 'session', caller.sub)
      return done
    }
    const given = await provider.revoke(token, exchange.requestId)
    if (given.ok) {
      record(parts, exchange, 'refresh_token')
      return done
    }
    log.warn(`revocation failed request_id=${exchange.requestId}: ${given.failure.reason}`)
    return fail('oauth/temporarily-unavailable')
  }
}

const done: Reply = { status: 200, headers: noStore, body: '' }

function record({ audit }: Parts, exchange: Exchange, token: string, sub?: string): void {
  audit('session.revoke', {
    request_id: exchange.requestId,
    result: 'success',
    token,
    sub,
    client_ip: exchange.clientAddress,
  })
}
