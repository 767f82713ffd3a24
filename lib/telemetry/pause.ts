/**
 * When a collector is left alone for a while, and what the operator's log says of its failures.
 * One for each destination, asked by `destination.ts`. Sends nothing itself.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'

/** Failures in a row after which the destination is skipped: one lost packet is no outage. */
const failuresMax = 5

/** How long it is skipped: a restart of a collector takes about that long. */
export const pauseMs = 30_000

/** Of payloads a destination does not take, the first is warned of and then every so many. */
const refusalsPerWarning = 100

export interface Pause {
  readonly active: boolean
  /** Whether an export is to be skipped just now; one that is, is counted. */
  skips(): boolean
  succeeded(): void
  /** A failure that says something about the destination. */
  failed(reason: string): void
  /** The destination is well, it only does not take this payload. */
  refused(reason: string): void
}

/** `name` is the destination as the log names it. */
export function createPause(name: string, clock: Clock, log: Log): Pause {
  let failures = 0
  let refusals = 0
  let skipped = 0
  let paused = false

  const start = (): void => {
    paused = true
    log.warn(`otel dest ${name} tripped; skipping ${pauseMs / 1000}s`)
    clock.after(pauseMs, () => {
      paused = false
      log.warn(
        `otel dest ${name} is tried again; ${skipped} export(s) were skipped in ${pauseMs / 1000}s`,
      )
      skipped = 0
    })
  }
  return {
    get active() {
      return paused
    },
    skips() {
      if (paused) skipped++
      return paused
    },
    succeeded() {
      failures = 0
    },
    failed(reason) {
      failures++
      log.warn(`otel forward to ${name} failed: ${reason}`)
      // After a pause the count stands, so that the next failure starts another one. What was
      // already under way when a pause began does not prolong it.
      if (failures >= failuresMax && !paused) start()
    },
    refused(reason) {
      refusals++
      if (refusals !== 1 && refusals % refusalsPerWarning !== 0) return
      log.warn(
        `otel dest ${name} refused an export's payload: ${reason} (not counted as a dest failure${
          refusals > 1 ? `; ${refusals} refused so far` : ''
        })`,
      )
    },
  }
}
