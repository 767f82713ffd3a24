/**
 * A call that waits for the database's word about its caller: asked once, answered once, for a
 * bounded time. Made and answered by `ledger.ts`, which puts many of them into one statement.
 */
import type { Caller } from '../kernel/caller.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Account } from './account.ts'
import type { Standing } from './standing.ts'

/**
 * What the database says, or that it says nothing. A hold that is not granted comes with a
 * standing that is over: what is left of it is promised to other calls.
 */
export type Verdict =
  | { readonly kind: 'standing'; readonly standing: Standing; readonly granted: boolean }
  | { readonly kind: 'unknown'; readonly reason: string }

/** Longest wait of a request for its standing (B037). */
const askMs = 1500

export class Question {
  readonly account: Account
  readonly caller: Caller
  /** Cents to reserve; null: only the standing is asked for. */
  readonly hold: number | null
  readonly verdict: Promise<Verdict>
  /** It was answered, perhaps for want of an answer: its call has gone on. */
  isOver = false
  readonly #last: Standing | null
  readonly #resolve: (verdict: Verdict) => void
  #timer: Timer | undefined

  constructor(account: Account, caller: Caller, hold: number | null, last: Standing | null) {
    this.account = account
    this.caller = caller
    this.hold = hold
    this.#last = last
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    this.verdict = promise
    this.#resolve = resolve
  }

  /** Starts the time; `onEnd` runs when it ends without an answer. */
  wait(clock: Clock, onEnd: () => void): void {
    this.#timer = clock.after(askMs, () => {
      onEnd()
      this.answer({ kind: 'unknown', reason: `no answer of the database within ${askMs} ms` })
    })
  }

  /** Only the first answer counts. */
  answer(verdict: Verdict): void {
    if (this.isOver) return
    this.isOver = true
    this.#timer?.cancel()
    // A cap that was spent stays spent; nobody can have changed it while the database is away.
    const isKnown = verdict.kind === 'unknown' && this.#last !== null
    this.#resolve(isKnown ? { kind: 'standing', standing: this.#last, granted: false } : verdict)
  }
}
