/**
 * A tap watches a response as it streams past: the meter, the spend accrual and the audit line
 * are taps. It can't change bytes, and what it throws is logged, never sent. Byte changes are
 * `TransformStream`s in the body itself.
 */

/** How a response ended. Read off the reason it ended for, never guessed. */
export type Outcome =
  | 'complete' // the body ended by itself and the client has all of it
  | 'client-gone' // the client left first
  | 'upstream-broke' // the upstream's body was cut or could not be decoded
  | 'timeout' // the upstream fell silent for longer than is allowed

export interface Tap {
  readonly name: string
  /** Every chunk, in order, before it is written. The bytes are borrowed: copy what is kept. */
  chunk?(bytes: Uint8Array): void
  /** Exactly once, on every way out of the response. */
  settle(outcome: Outcome): void
}
