/**
 * Short-lived state shared by all replicas, in the table `kv` with the reference's columns. Each
 * call is one statement, so that replicas racing for a key are ordered by Postgres. Time is the
 * database's: the clocks of the replicas need not agree.
 */
import type { Kv, Store } from './store.ts'

/** Sign-in answers within three seconds whatever Postgres does; it makes a few calls at most. */
const timeoutMs = 2000

const inTtl = (parameter: string): string => `now() + make_interval(secs => ${parameter})`
const lives = '(expires_at IS NULL OR expires_at > now())'

const getSql = `SELECT value FROM kv WHERE key = $1 AND ${lives}`

const setSql = `
  INSERT INTO kv (key, value, expires_at) VALUES ($1, $2, ${inTtl('$3')})
  ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at`

const takeSql = `DELETE FROM kv WHERE key = $1 RETURNING value, ${lives} AS lives`

const replaceSql = `
  UPDATE kv SET value = $3, expires_at = ${inTtl('$4')} WHERE key = $1 AND value = $2 AND ${lives}`

const claimSql = `
  INSERT INTO kv (key, value, expires_at) VALUES ($1, $2, ${inTtl('$3')})
  ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
  WHERE kv.expires_at <= now()`

export function createKv(store: Store): Kv {
  const options = { timeoutMs }
  return {
    async get(key) {
      const { rows } = await store.query<{ value: string }>(getSql, [key], options)
      return rows[0]?.value ?? null
    },
    async set(key, value, ttlSeconds) {
      await store.query(setSql, [key, value, ttlSeconds], options)
    },
    async take(key) {
      const { rows } = await store.query<{ value: string; lives: boolean }>(takeSql, [key], options)
      return rows[0]?.lives === true ? rows[0].value : null
    },
    async replace(key, expected, value, ttlSeconds) {
      const result = await store.query(replaceSql, [key, expected, value, ttlSeconds], options)
      return result.count === 1
    },
    async claim(key, value, ttlSeconds) {
      const { count } = await store.query(claimSql, [key, value, ttlSeconds], options)
      return count === 1
    },
    async delete(key) {
      await store.query('DELETE FROM kv WHERE key = $1', [key], options)
    },
  }
}
