/**
 * The bearer check of every route that needs a session. On the request path: a remembered token
 * is answered without a promise. Ends every refusal in an audit line.
 */
import type { Exchange } from '../http/exchange.ts'
import type { Caller } from '../kernel/caller.ts'
import { fail } from '../kernel/errors.ts'
import type { Audit } from '../kernel/log.ts'
import type { Sessions } from './session.ts'

export function createAuthenticate(
  sessions: Sessions,
  audit: Audit,
): (exchange: Exchange) => Promise<Caller> | Caller {
  const refuse = (exchange: Exchange, reason: 'missing_token' | 'invalid_token'): never => {
    audit('auth.denied', {
      request_id: exchange.requestId,
      reason,
      path: exchange.path,
      client_ip: exchange.clientAddress,
    })
    return fail('session/invalid-token')
  }
  const check = async (exchange: Exchange, authorization: string): Promise<Caller> =>
    (await sessions.verify(authorization)) ?? refuse(exchange, 'invalid_token')

  return (exchange) => {
    const { authorization } = exchange.headers
    if (authorization === undefined) return refuse(exchange, 'missing_token')
    return sessions.recall(authorization) ?? check(exchange, authorization)
  }
}
