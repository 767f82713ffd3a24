/**
 * Who may call the Admin API: a key of the configuration, or a session with one of the admin
 * groups. A key that is there decides alone: a wrong one loses even beside a good session.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Exchange } from '../../http/exchange.ts'
import type { Caller } from '../../kernel/caller.ts'
import type { AdminConfig } from '../config.ts'

export interface Actor {
  /** `admin-key:<id>` or `oidc:<sub>`, as the audit names it. */
  readonly name: string
  readonly mayWrite: boolean
}

export type Credentials =
  | { readonly kind: 'actor'; readonly actor: Actor }
  | {
      readonly kind: 'denied'
      readonly reason: 'no_credentials' | 'invalid_key' | 'bearer_rejected'
    }

/** The caller of the session in the request, null when there is no valid one. */
export type VerifySession = (exchange: Exchange) => Promise<Caller | null>

export function createCredentials(
  config: Pick<AdminConfig, 'write_keys' | 'read_keys' | 'admin_groups'>,
  verifySession: VerifySession,
): (exchange: Exchange) => Promise<Credentials> {
  const keys = [
    ...config.write_keys.map(({ id, key }) => ({ id, digest: digestOf(key), mayWrite: true })),
    ...config.read_keys.map(({ id, key }) => ({ id, digest: digestOf(key), mayWrite: false })),
  ]
  const byKey = (given: string): Credentials => {
    const digest = digestOf(given)
    // All of them are compared, in constant time each: nothing tells which one came close.
    const [match] = keys.filter((key) => timingSafeEqual(key.digest, digest))
    if (match === undefined) return { kind: 'denied', reason: 'invalid_key' }
    return { kind: 'actor', actor: { name: `admin-key:${match.id}`, mayWrite: match.mayWrite } }
  }
  const bySession = async (exchange: Exchange): Promise<Credentials> => {
    const caller = await verifySession(exchange)
    const isAdmin = caller?.groups.some((group) => config.admin_groups.includes(group))
    if (caller === null || isAdmin !== true) return { kind: 'denied', reason: 'bearer_rejected' }
    return { kind: 'actor', actor: { name: `oidc:${caller.sub}`, mayWrite: true } }
  }
  return async (exchange) => {
    const header = exchange.headers['x-api-key']
    const given = (Array.isArray(header) ? header.join(', ') : (header ?? '')).trim()
    if (given !== '') return byKey(given)
    if (!/^bearer\s+\S/i.test(exchange.headers.authorization ?? '')) {
      return { kind: 'denied', reason: 'no_credentials' }
    }
    return bySession(exchange)
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
