/**
 * Deadlines that hardly ever run out (a stalled reader, a silent sender), kept in one roster that a
 * single timer sweeps: starting and stopping one costs no timer of its own on the request path.
 */
import type { Clock } from '../kernel/clock.ts'
import { createRoster, type Member } from '../kernel/roster.ts'

/** Every limit kept here is 30 s or more; being late by this much changes none of them. */
const sweepMs = 5_000

export interface Wait extends Member {
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
  const waits = createRoster<Wait>()
  const sweep = clock.every(sweepMs, () => {
    const now = clock.elapsed()
    for (const wait of waits.members()) {
      // An expired one before it may have stopped it.
      if (wait.place === -1 || now - wait.since < wait.limitMs) continue
      waits.delete(wait)
      wait.expire()
    }
  })
  return {
    start(limitMs, expire) {
      const wait: Wait = { limitMs, expire, since: clock.elapsed(), place: -1 }
      waits.add(wait)
      return wait
    },
    touch(wait) {
      wait.since = clock.elapsed()
    },
    stop: (wait) => waits.delete(wait),
    close: () => sweep.cancel(),
  }
}
