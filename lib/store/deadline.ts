/**
 * The deadline of one store call, shared by its steps: waiting for a connection, opening one,
 * the statement itself. Used inside this folder alone.
 */
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'

export interface Deadline {
  /** Settles like `work`, or rejects with `DeadlineExceeded` when the time is over first. */
  bound<T>(work: Promise<T>): Promise<T>
  isOver(): boolean
  /** No later rejection; the timer is gone. */
  cancel(): void
}

/** `what` names the wait in the log. */
export function createDeadline(clock: Clock, timeoutMs: number, what: string): Deadline {
  const { promise: end, reject } = Promise.withResolvers<never>()
  // Nobody may be waiting when it strikes; each `bound` sees the same rejection.
  end.catch(() => {})
  let isOver = false
  const timer = clock.after(timeoutMs, () => {
    isOver = true
    reject(new DeadlineExceeded(what, timeoutMs))
  })
  return {
    bound: (work) => Promise.race([work, end]),
    isOver: () => isOver,
    cancel: () => timer.cancel(),
  }
}
