/**
 * The naive model of spend: what was settled, by whom and when; which limits held from when to
 * when; what the database said at each moment. It knows nothing of leases or batches.
 */
import { periodsAt, type PeriodName } from '../../../lib/spend/period.ts'

/** What a limit is for: a person's cap of one period, or the budget of a group. */
export interface Scope {
  readonly kind: 'user' | 'pool'
  readonly id: string
  readonly period: PeriodName
}

export interface Version {
  /** Cents; null: unlimited. */
  readonly amount: number | null
  readonly from: number
  until: number
  /** The replica whose Admin API took it; null: changed by SQL, without a word to anybody. */
  readonly by: string | null
}

export interface Settled {
  readonly sub: string
  readonly groups: readonly string[]
  readonly cents: number
  readonly at: number
  readonly admittedAt: number
  /** The name of a replica's life: a restarted one is another. */
  readonly replica: string
  /** Admitted although nobody could be asked. */
  readonly unchecked: boolean
  /** False once its replica crashed before it must have been written. */
  certain: boolean
}

const nameOf = ({ kind, id, period }: Scope): string => `${kind} ${id} ${period}`

export class Book {
  readonly settled: Settled[] = []
  readonly #under = new Map<string, Settled[]>()
  readonly #versions = new Map<string, Version[]>()
  readonly #history = new Map<string, { readonly at: number; readonly cents: number }[]>()

  setLimit(scope: Scope, amount: number | null, at: number, by: string | null): void {
    const versions = this.#versions.get(nameOf(scope)) ?? []
    const last = versions.at(-1)
    if (last !== undefined) last.until = at
    versions.push({ amount, from: at, until: Number.POSITIVE_INFINITY, by })
    this.#versions.set(nameOf(scope), versions)
  }

  versions(scope: Scope): readonly Version[] {
    return this.#versions.get(nameOf(scope)) ?? []
  }

  /** The database's figure of one row, as it was read at `at`. */
  saw(kind: Scope['kind'], id: string, key: string, cents: number, at: number): void {
    const name = `${kind} ${id} ${key}`
    const history = this.#history.get(name) ?? []
    if (history.at(-1)?.cents !== cents) history.push({ at, cents })
    this.#history.set(name, history)
  }

  /** When the database first knew of `amount` cents in the period that holds `now`. */
  knownSince({ kind, id, period }: Scope, amount: number, now: number): number {
    if (amount <= 0) return Number.NEGATIVE_INFINITY
    const history = this.#history.get(`${kind} ${id} ${periodsAt(now)[period].key}`) ?? []
    return history.find(({ cents }) => cents >= amount)?.at ?? Number.POSITIVE_INFINITY
  }

  /** What the database said last. */
  counted(kind: Scope['kind'], id: string, key: string): number {
    return this.#history.get(`${kind} ${id} ${key}`)?.at(-1)?.cents ?? 0
  }

  settle(call: Settled): void {
    this.settled.push(call)
    const { daily, weekly, monthly } = periodsAt(call.at)
    const names = [daily, weekly, monthly].map(({ key }) => `user ${call.sub} ${key}`)
    for (const name of [...names, ...call.groups.map((id) => `pool ${id} ${monthly.key}`)]) {
      const calls = this.#under.get(name) ?? []
      calls.push(call)
      this.#under.set(name, calls)
    }
  }

  /** Everything settled under a limit in the period that holds `now`, so far. */
  under({ kind, id, period }: Scope, now: number): readonly Settled[] {
    return this.#under.get(`${kind} ${id} ${periodsAt(now)[period].key}`) ?? []
  }
}

export const sum = (calls: readonly { readonly cents: number }[]): number =>
  calls.reduce((total, { cents }) => total + cents, 0)
