/**
 * Time, as a value that is passed in. Everything that waits, expires or stamps takes a `Clock`,
 * so that a spec can move time by hand; nothing else in lib reads the system's clock.
 */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number
  /** Monotonic, milliseconds with fractions; for durations only. */
  elapsed(): number
  /** Runs `action` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, action: () => void): Timer
  /** Runs `action` every `periodMs` until cancelled. The timer does not keep the process alive. */
  every(periodMs: number, action: () => void): Timer
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  every(periodMs, action) {
    const timer = setInterval(action, periodMs)
    timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
}

/** Resolves after `delayMs`, or rejects with the signal's reason when that comes first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
