/**
 * Sessions that were ended before their time, known to every replica within a second. The truth
 * is rows of `kv` that live as long as the session would; each replica keeps their hashes in
 * memory, so that the check costs no query. A notification makes it faster, a poll makes it sure.
 */
import { createHash } from 'node:crypto'
import { createCache } from '../kernel/cache.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { sendHint, type Hints } from '../store/notify.ts'
import type { Store } from '../store/store.ts'

export interface RevocationList {
  /** True once the list was loaded: only then may the gateway promise revocation. */
  readonly active: boolean
  /** By the signed part of a token: a signature can be written in more than one way. */
  has(signedPart: string): boolean
  /** Ends a session everywhere. Throws `store/unavailable`; then nothing was promised. */
  add(signedPart: string, expiresAtSeconds: number): Promise<void>
  /** Loads the list and keeps up with it. Throws when the database cannot be read. */
  start(): Promise<void>
  stop(): void
}

export interface RevocationDeps {
  readonly store: Store
  readonly hints: Hints
  readonly clock: Clock
  readonly log: Log
}

/** With a notification on top; together a revocation is seen within the promised second. */
const pollMs = 800
/** Of one poll, and of writing one row. */
const timeoutMs = 2000
/**
 * Polls look back this far beyond the last one: a row is stamped when its transaction begins and
 * seen when it ends, which the timeout above bounds.
 */
const overlapSeconds = 10
/** About 6 MB of hashes. A company of that size signs out a few thousand times an hour. */
const entriesMax = 50_000

const topic = 'session.revoked'
const prefix = 'revoked:'

const addSql = `
  INSERT INTO kv (key, value, expires_at)
  VALUES ($1, extract(epoch FROM now())::text, to_timestamp($2))
  ON CONFLICT (key) DO NOTHING`

/** Ends with the soonest to expire, so that a full memory drops what matters least. */
const readSql = `
  SELECT key, extract(epoch FROM expires_at)::float8 AS expires,
         extract(epoch FROM now())::float8 AS now
  FROM kv
  WHERE key LIKE '${prefix}%' AND expires_at > now() AND value::float8 >= $1
  ORDER BY expires_at DESC LIMIT ${entriesMax}`

interface Row {
  readonly key: string
  readonly expires: number
  readonly now: number
}

/** `onChange` runs whenever a session is new on the list; it must forget what it remembers. */
export function createRevocationList(deps: RevocationDeps, onChange: () => void): RevocationList {
  const { store, hints, clock, log } = deps
  const revoked = createCache<string, true>(entriesMax, clock)
  let timer: Timer | undefined
  let since = 0
  let failing = false
  let polling = false

  const remember = (key: string, expiresAtSeconds: number): void => {
    if (revoked.get(key) !== undefined) return
    revoked.set(key, true, expiresAtSeconds * 1000)
    onChange()
  }
  const load = async (): Promise<void> => {
    const { rows } = await store.query<Row>(readSql, [since], { timeoutMs })
    for (const { key, expires } of rows) remember(key, expires)
    const now = rows[0]?.now
    if (now !== undefined) since = now - overlapSeconds
    if (rows.length === entriesMax) {
      log.warn(`more than ${entriesMax} revoked sessions at once: the oldest are not remembered`)
    }
  }
  const poll = async (): Promise<void> => {
    if (polling) return
    polling = true
    try {
      await load()
      if (failing) log.info('revoked sessions are read again')
      failing = false
    } catch (error) {
      if (!failing) log.warn(`revoked sessions cannot be read, still trying: ${String(error)}`)
      failing = true
    } finally {
      polling = false
    }
  }

  return {
    get active() {
      return timer !== undefined
    },
    has: (signedPart) => revoked.get(keyOf(signedPart)) !== undefined,
    async add(signedPart, expiresAtSeconds) {
      const key = keyOf(signedPart)
      await store.transaction(
        async (tx) => {
          await tx.query(addSql, [key, expiresAtSeconds])
          await sendHint(tx, topic, `${key} ${expiresAtSeconds}`)
        },
        { timeoutMs },
      )
      remember(key, expiresAtSeconds)
    },
    async start() {
      await load()
      hints.on(topic, (detail) => {
        const [key = '', expires = ''] = detail.split(' ')
        if (key.startsWith(prefix) && Number(expires) > 0) remember(key, Number(expires))
      })
      // `poll` deals with its failures itself.
      hints.onGap(() => void poll())
      timer = clock.every(pollMs, () => void poll())
    },
    stop() {
      timer?.cancel()
      timer = undefined
    },
  }
}

/** For a gateway that keeps no list: promises nothing, so that nothing has to be kept. */
export const noRevocations: RevocationList = {
  active: false,
  has: () => false,
  add: () => fail('store/unavailable'),
  start: () => Promise.resolve(),
  stop: () => {},
}

function keyOf(signedPart: string): string {
  return `${prefix}${createHash('sha256').update(signedPart).digest('hex')}`
}
