/**
 * Bounded waits. Whoever waits for the provider or the database says for how long; what is still
 * under way after that is told to stop and its late outcome is dropped.
 */
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'

/**
 * Runs `work` for at most `limitMs`, then fails with `DeadlineExceeded` naming `what`. The signal
 * aborts at that moment, so that sockets do not outlive the wait.
 */
export async function withDeadline<T>(
  clock: Clock,
  what: string,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const expired = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true })
  })
  const timer = clock.after(limitMs, () => stop.abort(new DeadlineExceeded(what, limitMs)))
  try {
    // `race` keeps listening to the loser, so a late rejection is handled here.
    return await Promise.race([work(stop.signal), expired])
  } finally {
    timer.cancel()
  }
}
