/**
 * The generation that answers now, and those that still end: a replaced one lives until its last
 * request is over and counted. Nothing is cut by a reload.
 */
import type { Clock } from './kernel/clock.ts'
import type { Log } from './kernel/log.ts'
import type { Generation } from './generation.ts'

export interface Generations {
  readonly current: Generation
  /** Answers from now on; the one before it ends by itself. */
  replace(next: Generation): void
  /** Waits for what follows replies, in all of them. */
  finish(): Promise<void>
  close(): Promise<void>
}

export function createGenerations(first: Generation, clock: Clock, log: Log): Generations {
  let current = first
  const ending = new Set<Generation>()

  const end = async (old: Generation): Promise<void> => {
    const startedAt = clock.elapsed()
    await old.idle()
    await old.finish()
    if (!ending.delete(old)) return // the process ends, and takes care of it
    await old.close()
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
    async finish() {
      await Promise.all([current, ...ending].map((generation) => generation.finish()))
    },
    async close() {
      const all = [current, ...ending]
      ending.clear()
      await Promise.all(all.map((generation) => generation.close()))
    },
  }
}
