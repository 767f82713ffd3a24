/**
 * Deadlines that hardly ever run out (a stalled reader, a silent sender), kept in one set that a
 * single timer sweeps: starting and stopping one costs no timer of its own on the request path.
 */
import type { Clock } from '../kernel/clock.ts'

/** Every limit kept here is 30 s or more; being late by this much changes none of them. */
const sweepMs = 5_000

export interface Wait {
  readonly limitMs: number
  readonly expire: () => void
  since: number
}

export interface Watchdog {
  /** Calls `expire` once when `limitMs` went by without `touch` or `stop`, at most 5 s late. */
  start(limitMs: number, expire: () => void): Wait
  /** Something moved: the limit counts from now. */
  touch(wait: Wait): void
  stop(wait: Wait): void
  close(): void
}

export function createWatchdog(clock: Clock): Watchdog {
  const waits = new Set<Wait>()
  const sweep = clock.every(sweepMs, () => {
    const now = clock.elapsed()
    for (const wait of waits) {
      if (now - wait.since < wait.limitMs) continue
      waits.delete(wait)
      wait.expire()
    }
  })
  return {
    start(limitMs, expire) {
      const wait: Wait = { limitMs, expire, since: clock.elapsed() }
      waits.add(wait)
      return wait
    },
    touch(wait) {
      wait.since = clock.elapsed()
    },
    stop: (wait) => void waits.delete(wait),
    close: () => sweep.cancel(),
  }
}
