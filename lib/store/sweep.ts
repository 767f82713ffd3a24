/**
 * Removes expired rows of `kv` in the background. Nothing depends on it: readers look at the
 * expiry themselves. Any number of replicas may sweep at once.
 */
import type { Clock } from '../kernel/clock.ts'
import { GatewayError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { isReadOnly } from './failure.ts'
import type { Store } from './store.ts'

/** Documented: expired rows are gone within this time. */
const periodMs = 30_000
/** Keeps each statement, its locks and its write-ahead log short. */
const batchRows = 1000
/** 50,000 rows a round; what is left waits for the next, so that a round ends. */
const batchesMax = 50
/** One batch takes milliseconds. */
const timeoutMs = 5000

/** SKIP LOCKED: a row somebody else sweeps or claims at this moment is theirs. */
const sweepSql = `
  DELETE FROM kv WHERE key IN (
    SELECT key FROM kv WHERE expires_at <= now() LIMIT ${batchRows} FOR UPDATE SKIP LOCKED)`

export interface Sweep {
  /** One round; never rejects. */
  run(): Promise<void>
  stop(): void
}

/** Sweeps every 30 s until stopped. */
export function startSweep(deps: { store: Store; clock: Clock; log: Log }): Sweep {
  const { store, clock, log } = deps
  let running = false
  let failing = false
  const run = async (): Promise<void> => {
    if (running) return
    running = true
    try {
      await sweepOnce(store)
      if (failing) log.info('expired rows of kv are removed again')
      failing = false
    } catch (error) {
      const reason = error instanceof GatewayError ? error.detail : String(error)
      if (isReadOnly(error)) {
        // Said every time, as on the reference: nothing can be written, nobody can sign in.
        log.warn('Postgres is read-only: sign-in and spend records fail (store.postgres_url)')
      } else if (failing) {
        log.debug(`expired rows of kv could not be removed: ${reason}`)
      } else {
        log.warn(`expired rows of kv could not be removed, still trying: ${reason}`)
      }
      failing = true
    } finally {
      running = false
    }
  }
  // `run` deals with its failures itself.
  const timer = clock.every(periodMs, () => void run())
  return { run, stop: () => timer.cancel() }
}

async function sweepOnce(store: Store): Promise<void> {
  for (let batch = 0; batch < batchesMax; batch++) {
    const { count } = await store.query(sweepSql, [], { timeoutMs })
    if (count < batchRows) return
  }
}
