/**
 * A failed exchange in one line for the operator's log: the code first, because that is what
 * people search for. Never for clients.
 */

import { messageOf } from '../kernel/errors.ts'
/** `ECONNREFUSED: connect ECONNREFUSED 10.0.0.1:443`, `getaddrinfo ENOTFOUND host`, … */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Every address of a name failed: the attempts say more than their sum.
  const attempts = error instanceof AggregateError ? error.errors : []
  const message =
    attempts.length > 0 ? attempts.map((each) => messageOf(each)).join(', ') : error.message
  const code = failureCode(error)
  if (code === null || message.startsWith('getaddrinfo')) return message
  return `${code}: ${message}`
}

/** The system's code, undici's where there is none. */
export function failureCode(error: unknown): string | null {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return null
  // Undici's word for a connection that the peer closed or reset: the system's is better known.
  return error.code === 'UND_ERR_SOCKET' ? 'ECONNRESET' : error.code
}
