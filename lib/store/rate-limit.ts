/**
 * Fixed windows, counted in `kv` for all replicas together. The window begins with its first hit
 * and refused hits count on, so that hammering never shortens the wait. One statement per hit.
 */
import type { RateLimit, Store } from './store.ts'

/** As for the rest of `kv`: sign-in has three seconds in all. */
const timeoutMs = 2000

/**
 * The value is the count as text, as the reference writes it; anything else starts afresh. The wait
 * counts from this very moment: `now()` is the statement's beginning, which may lie before that of
 * the statement that began the window, and the wait would be longer than the window.
 */
const hitSql = `
  INSERT INTO kv (key, value, expires_at) VALUES ($1, '1', now() + make_interval(secs => $2))
  ON CONFLICT (key) DO UPDATE SET
    value = CASE WHEN kv.expires_at > now() AND kv.value ~ '^[0-9]{1,15}$'
                 THEN (kv.value::bigint + 1)::text ELSE '1' END,
    expires_at = CASE WHEN kv.expires_at > now() AND kv.value ~ '^[0-9]{1,15}$'
                      THEN kv.expires_at ELSE EXCLUDED.expires_at END
  RETURNING value::float8 AS hits, extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds`

export function createRateLimit(store: Store): RateLimit {
  return {
    async hit(key, max, windowSeconds) {
      const { rows } = await store.query<{ hits: number; seconds: number }>(
        hitSql,
        [key, windowSeconds],
        { timeoutMs },
      )
      const { hits, seconds } = rows[0] ?? { hits: 1, seconds: windowSeconds }
      return { allowed: hits <= max, retryAfterSeconds: Math.max(1, Math.ceil(seconds)) }
    },
  }
}
