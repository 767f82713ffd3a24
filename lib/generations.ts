/**
 * The generation that answers now, and those that still end: a replaced one lives until its last
 * request is over, and then gives its reports time to be delivered. Nothing is cut by a reload.
 */
import type { Clock } from './kernel/clock.ts'
import type { Log } from './kernel/log.ts'
import type { Generation } from './generation.ts'

export interface Generations {
  readonly current: Generation
  /** Answers from now on; the one before it ends by itself. */
  replace(next: Generation): void
  /** Waits for what follows replies, in all of them; returns the reports given up. */
  finish(windowMs: number): Promise<number>
  cut(): void
  close(): Promise<void>
}

/** Reports that a collector did not take may be tried again for this long after a reload. */
const finishMs = 5 * 60_000

export function createGenerations(first: Generation, clock: Clock, log: Log): Generations {
  let current = first
  const ending = new Set<Generation>()

  const end = async (old: Generation): Promise<void> => {
    const startedAt = clock.elapsed()
    await old.idle()
    const reports = await old.finish(finishMs)
    if (!ending.delete(old)) return // the process ends, and takes care of it
    await old.close()
    if (reports > 0)
      log.warn(`reload: gave up ${reports} telemetry report(s) of the old configuration`)
    const seconds = ((clock.elapsed() - startedAt) / 1000).toFixed(1)
    log.info(`reload: the old configuration is gone, its last request ended after ${seconds} s`)
  }
  return {
    get current() {
      return current
    },
    replace(next) {
      const old = current
      current = next
      ending.add(old)
      end(old).catch((error: unknown) => log.error(`reload: ${String(error)}`))
    },
    async finish(windowMs) {
      const all = [current, ...ending]
      const reports = await Promise.all(all.map((generation) => generation.finish(windowMs)))
      return reports.reduce((sum, count) => sum + count, 0)
    },
    cut() {
      for (const generation of [current, ...ending]) generation.cut()
    },
    async close() {
      const all = [current, ...ending]
      ending.clear()
      await Promise.all(all.map((generation) => generation.close()))
    },
  }
}
