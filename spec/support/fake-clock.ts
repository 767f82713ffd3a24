/**
 * A clock moved by hand: the one thing specs may fake. Timers run in order of their due time
 * when `advance` passes them; work they start in microtasks gets a chance between two timers.
 */
import type { Clock } from '../../lib/kernel/clock.ts'

export interface FakeClock extends Clock {
  advance(byMs: number): Promise<void>
}

interface Pending {
  dueAt: number
  readonly periodMs: number | null
  readonly action: () => void
}

export function createFakeClock(startMs: number = Date.parse('2026-11-23T10:00:00Z')): FakeClock {
  let now = startMs
  const pending = new Set<Pending>()
  const add = (delayMs: number, periodMs: number | null, action: () => void) => {
    const entry = { dueAt: now + delayMs, periodMs, action }
    pending.add(entry)
    return { cancel: () => void pending.delete(entry) }
  }
  const nextDue = (until: number): Pending | undefined =>
    [...pending].filter(({ dueAt }) => dueAt <= until).toSorted((a, b) => a.dueAt - b.dueAt)[0]
  return {
    now: () => now,
    elapsed: () => now - startMs,
    after: (delayMs, action) => add(delayMs, null, action),
    every: (periodMs, action) => add(periodMs, periodMs, action),
    async advance(byMs) {
      const until = now + byMs
      for (let entry = nextDue(until); entry !== undefined; entry = nextDue(until)) {
        now = entry.dueAt
        if (entry.periodMs === null) pending.delete(entry)
        else entry.dueAt += entry.periodMs
        entry.action()
        await new Promise((resolve) => setImmediate(resolve))
      }
      now = until
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
