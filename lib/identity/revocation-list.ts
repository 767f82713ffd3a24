/**
 * Sessions that were ended before their time, known to every replica within a second. The truth
 * is rows of `kv` that live as long as the session would; each replica keeps their hashes in
 * memory, so that the check costs no query. A notification makes it faster, a poll makes it sure.
 */
import { createHash } from 'node:crypto'
import type { Clock, Timer } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { sendHint, type Hints } from '../store/notify.ts'
import type { Store } from '../store/store.ts'

export interface RevocationList {
  /** True once the list was loaded: only then may the gateway promise revocation. */
  readonly active: boolean
  /**
   * By the signed part of a token: a signature can be written in more than one way. A promise only
   * while there are more revoked sessions than fit into memory, and then the database is asked;
   * it rejects with `store/unavailable`, because whoever cannot be asked about is not let in.
   */
  has(signedPart: string): boolean | Promise<boolean>
  /** Ends a session everywhere. Throws `store/unavailable`; then nothing was promised. */
  add(signedPart: string, expiresAtSeconds: number): Promise<void>
  /** Sessions in memory that would not have ended yet; goes through all of them. */
  size(): number
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
const defaultEntriesMax = 50_000
/** How often a list that did not fit is loaded as a whole again. */
const reloadMs = 60_000

const topic = 'session.revoked'
const prefix = 'revoked:'

const addSql = `
  INSERT INTO kv (key, value, expires_at)
  VALUES ($1, extract(epoch FROM now())::text, to_timestamp($2))
  ON CONFLICT (key) DO NOTHING`

/** CASE: Postgres may look at values before keys, and those of other rows are no numbers. */
const readSql = `
  SELECT key, extract(epoch FROM expires_at)::float8 AS expires,
         extract(epoch FROM now())::float8 AS now
  FROM kv
  WHERE key LIKE '${prefix}%' AND expires_at > now()
    AND CASE WHEN key LIKE '${prefix}%' THEN value::float8 >= $1 END
  LIMIT $2`

const findSql = 'SELECT 1 AS found FROM kv WHERE key = $1'

interface Row {
  readonly key: string
  readonly expires: number
  readonly now: number
}

/** `onChange` runs whenever a session is new on the list; it must forget what it remembers. */
export function createRevocationList(
  deps: RevocationDeps,
  onChange: () => void,
  entriesMax: number = defaultEntriesMax,
): RevocationList {
  const { store, hints, clock, log } = deps
  const revoked = createMemory(entriesMax, clock, log)
  let timer: Timer | undefined
  let since = 0
  let failing = false
  let polling = false
  let ends: readonly (() => void)[] = []

  const remember = (key: string, expiresAtSeconds: number): void => {
    if (revoked.add(key, expiresAtSeconds * 1000)) onChange()
  }
  const load = async (): Promise<void> => {
    const isWhole = revoked.wantsReload()
    // One more than fit says that not all of them do.
    const values = [isWhole ? 0 : since, entriesMax + 1]
    const { rows } = await store.query<Row>(readSql, values, { timeoutMs })
    // Said first: whatever has to make room from here on is missing again.
    if (isWhole) revoked.reloaded(rows.length <= entriesMax)
    for (const { key, expires } of rows) remember(key, expires)
    const now = rows[0]?.now
    if (now !== undefined) since = now - overlapSeconds
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
    has(signedPart) {
      const key = keyOf(signedPart)
      if (revoked.has(key)) return true
      return revoked.isComplete() ? false : store.query(findSql, [key], { timeoutMs }).then(isFound)
    },
    async add(signedPart, expiresAtSeconds) {
      const key = keyOf(signedPart)
      await write(store, key, expiresAtSeconds)
      remember(key, expiresAtSeconds)
    },
    size: () => revoked.size(),
    async start() {
      await load()
      ends = [
        hints.on(topic, (detail) => learn(detail, remember)),
        // `poll` deals with its failures itself.
        hints.onGap(() => void poll()),
      ]
      timer = clock.every(pollMs, () => void poll())
    },
    stop() {
      timer?.cancel()
      timer = undefined
      for (const end of ends) end()
    },
  }
}

/** What another replica says; whatever else is said there is nobody's session. */
function learn(detail: string, remember: (key: string, expiresAtSeconds: number) => void): void {
  const [key = '', expires = ''] = detail.split(' ')
  if (key.startsWith(prefix) && Number(expires) > 0) remember(key, Number(expires))
}

/** For a gateway that keeps no list: promises nothing, so that nothing has to be kept. */
export const noRevocations: RevocationList = {
  active: false,
  has: () => false,
  add: () => fail('store/unavailable'),
  size: () => 0,
  start: () => Promise.resolve(),
  stop: () => {},
}

interface Memory {
  has(key: string): boolean
  /** Until `endMs` since the epoch, when the session would have ended anyway. True: it is new. */
  add(key: string, endMs: number): boolean
  /** False: there are more revoked sessions than are remembered. */
  isComplete(): boolean
  size(): number
  /** True now and then while something is missing: perhaps all of them fit again. */
  wantsReload(): boolean
  reloaded(allFit: boolean): void
}

function createMemory(entriesMax: number, clock: Clock, log: Log): Memory {
  const ends = new Map<string, number>()
  let complete = true
  let reloadAt = 0

  const dropEnded = (): void => {
    for (const [key, end] of ends) if (end <= clock.now()) ends.delete(key)
  }
  const makeRoom = (): void => {
    dropEnded()
    const [oldest] = ends.keys()
    if (ends.size < entriesMax || oldest === undefined) return
    ends.delete(oldest)
    if (complete) {
      log.warn(
        `more than ${entriesMax} revoked sessions at once: others are looked up in the database`,
      )
    }
    complete = false
    reloadAt = clock.now() + reloadMs
  }
  return {
    has: (key) => (ends.get(key) ?? 0) > clock.now(),
    add(key, endMs) {
      if (ends.has(key)) return false
      if (ends.size >= entriesMax) makeRoom()
      ends.set(key, endMs)
      return true
    },
    isComplete: () => complete,
    size() {
      dropEnded()
      return ends.size
    },
    wantsReload: () => !complete && clock.now() >= reloadAt,
    reloaded(allFit) {
      complete = allFit
      reloadAt = clock.now() + reloadMs
    },
  }
}

/** The row and the word of it are one: nobody hears of what was not kept. */
function write(store: Store, key: string, expiresAtSeconds: number): Promise<void> {
  return store.transaction(
    async (tx) => {
      await tx.query(addSql, [key, expiresAtSeconds])
      await sendHint(tx, topic, `${key} ${expiresAtSeconds}`)
    },
    { timeoutMs },
  )
}

function isFound({ count }: { readonly count: number }): boolean {
  return count > 0
}

function keyOf(signedPart: string): string {
  return `${prefix}${createHash('sha256').update(signedPart).digest('hex')}`
}
