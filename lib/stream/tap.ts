/**
 * A tap watches a response as it streams past: the meter, the spend accrual and the audit line
 * are taps. It can't change bytes, and what it throws is logged, never sent. Byte changes are
 * `TransformStream`s in the body itself. Whoever writes a response to the client runs its taps
 * through `createTapRunner` in that one loop.
 */
import type { Log } from '../kernel/log.ts'

/** How a response ended. Read off the reason it ended for, never guessed. */
export type Outcome =
  | 'complete' // the body ended by itself and the client has all of it
  | 'client-gone' // the client left first
  | 'upstream-broke' // the upstream's body was cut or could not be decoded
  | 'timeout' // the upstream fell silent for longer than is allowed

export interface Tap {
  readonly name: string
  /** Once, when the head has been given to the connection; not at all if none is sent. */
  head?(): void
  /** Every chunk, in order, before it is written. The bytes are borrowed: copy what is kept. */
  chunk?(bytes: Uint8Array): void
  /** Exactly once, on every way out of the response. */
  settle(outcome: Outcome): void
}

export interface TapRunner {
  /** Tells every tap that the head is out; only the first call counts. Never throws. */
  head(): void
  /** Shows one chunk to every tap that still works. Never throws. */
  chunk(bytes: Uint8Array): void
  /** Settles every tap with `outcome`; only the first call counts. Never throws. */
  settle(outcome: Outcome): void
}

/**
 * Runs all taps of one response. A tap that throws is logged once and sees no further chunk,
 * but it is still settled: what it has counted so far must reach the bill and the audit.
 */
export function createTapRunner(taps: readonly Tap[], log: Log): TapRunner {
  let watching = taps.filter((tap) => tap.chunk !== undefined)
  let isHeadOut = false
  let settled = false

  const drop = (tap: Tap, error: unknown): void => {
    watching = watching.filter((other) => other !== tap)
    log.error(`tap ${tap.name} failed on a chunk and sees no more: ${describeFailure(error)}`)
  }
  return {
    head() {
      if (isHeadOut || settled) return
      isHeadOut = true
      for (const tap of taps) {
        try {
          tap.head?.()
        } catch (error) {
          log.error(`tap ${tap.name} failed on the head: ${describeFailure(error)}`)
        }
      }
    },
    chunk(bytes) {
      if (settled) return
      // The list is replaced, never changed, so a tap dropped meanwhile doesn't shift the others.
      for (const tap of watching) {
        try {
          tap.chunk?.(bytes)
        } catch (error) {
          drop(tap, error)
        }
      }
    },
    settle(outcome) {
      if (settled) return
      settled = true
      for (const tap of taps) {
        try {
          tap.settle(outcome)
        } catch (error) {
          log.error(`tap ${tap.name} failed to settle (${outcome}): ${describeFailure(error)}`)
        }
      }
    },
  }
}

/**
 * The kind of error and where it happened, without its message: a message may quote the bytes
 * that were being read (`JSON.parse` does), and completion text must not reach a log.
 */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return [error.name, ...frames.slice(0, 3).map((line) => line.trim())].join(' ')
}
