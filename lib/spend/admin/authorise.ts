/**
 * Who may call the Admin API: the keys of `admin.write_keys` and `admin.read_keys`, sent as
 * x-api-key, before a session of somebody in `admin.admin_groups`. A key that is sent decides
 * alone, so that a mistyped one is never covered up by a session.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Exchange } from '../../http/exchange.ts'
import type { Caller } from '../../kernel/caller.ts'
import type { AdminConfig, AdminKey } from '../config.ts'

/** The caller of a valid session, null without one; never throws a refusal. */
export type VerifySession = (exchange: Exchange) => Promise<Caller | null> | Caller | null

export type Authorisation =
  | { readonly kind: 'granted'; readonly actor: string; readonly canWrite: boolean }
  | {
      readonly kind: 'denied'
      readonly reason: 'no_credentials' | 'invalid_key' | 'bearer_rejected'
    }

export type Authorise = (exchange: Exchange) => Promise<Authorisation>

type AuthoriseConfig = Pick<AdminConfig, 'write_keys' | 'read_keys' | 'admin_groups'>

export function createAuthorise(config: AuthoriseConfig, verifySession: VerifySession): Authorise {
  const keys = [...knownKeys(config.write_keys, true), ...knownKeys(config.read_keys, false)]
  const admins = new Set(config.admin_groups)
  return async (exchange) => {
    // Several lines arrive joined by node:http and match no key.
    const key = exchange.headerLines('x-api-key').join(', ').trim()
    if (key !== '') return findKey(keys, key)
    if (exchange.headers.authorization === undefined) {
      return { kind: 'denied', reason: 'no_credentials' }
    }
    const caller = await verifySession(exchange)
    if (caller === null || !caller.groups.some((group) => admins.has(group))) {
      return { kind: 'denied', reason: 'bearer_rejected' }
    }
    return { kind: 'granted', actor: `oidc:${caller.sub}`, canWrite: true }
  }
}

interface KnownKey {
  readonly actor: string
  readonly canWrite: boolean
  readonly digest: Buffer
}

function knownKeys(keys: readonly AdminKey[], canWrite: boolean): readonly KnownKey[] {
  return keys.map(({ id, key }) => ({ actor: `admin-key:${id}`, canWrite, digest: digestOf(key) }))
}

/** Digests are of one length, and every key is compared whatever the others said. */
function findKey(keys: readonly KnownKey[], given: string): Authorisation {
  const digest = digestOf(given)
  const [found] = keys.filter((known) => timingSafeEqual(known.digest, digest))
  if (found === undefined) return { kind: 'denied', reason: 'invalid_key' }
  return { kind: 'granted', actor: found.actor, canWrite: found.canWrite }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
