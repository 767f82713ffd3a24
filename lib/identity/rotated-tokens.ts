/**
 * Tokens of refreshes that are not finished. A provider that rotates refresh tokens takes the
 * second use of one for theft, so when something behind its token endpoint fails (userinfo, keys,
 * a directory) the client's next try goes on with what the provider already gave. Per replica:
 * elsewhere such a try ends as it would without this.
 */
import { createHash } from 'node:crypto'
import { createCache } from '../kernel/cache.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Tokens } from './token-request.ts'

export interface RotatedTokens {
  find(refresh_token: string): Tokens | undefined
  /** Does nothing when the provider did not rotate: then asking again is right. */
  keep(refresh_token: string, tokens: Tokens): void
  /** The refresh was decided, or the token given back. */
  drop(refresh_token: string): void
}

/** People who refresh during one outage; some 4 MB with usual id_tokens. */
const heldMax = 1000
/** As long as the id_token of most providers can be trusted to be valid. */
const heldMs = 5 * 60 * 1000

export function createRotatedTokens(clock: Clock): RotatedTokens {
  const held = createCache<string, Tokens>(heldMax, clock)
  return {
    find: (refresh_token) => held.get(keyOf(refresh_token)),
    keep(refresh_token, tokens) {
      const { refresh_token: next = refresh_token } = tokens
      if (next !== refresh_token) held.set(keyOf(refresh_token), tokens, clock.now() + heldMs)
    },
    drop: (refresh_token) => held.delete(keyOf(refresh_token)),
  }
}

function keyOf(refresh_token: string): string {
  return createHash('sha256').update(refresh_token).digest('base64url')
}
