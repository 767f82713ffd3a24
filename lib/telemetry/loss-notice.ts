/**
 * Says how often something was lost, at most once a minute: the first time at once, later ones
 * together. For losses that come by the thousand exactly when nobody has time for a log.
 */
import type { Clock } from '../kernel/clock.ts'

const periodMs = 60_000

/** Returns what is called for each loss; `say` gets the number since it was last called. */
export function createLossNotice(clock: Clock, say: (count: number) => void): () => void {
  let count = 0
  let quiet = false
  const tell = (): void => {
    quiet = count > 0
    if (!quiet) return
    say(count)
    count = 0
    clock.after(periodMs, tell)
  }
  return () => {
    count++
    if (!quiet) tell()
  }
}
