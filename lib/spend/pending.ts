/**
 * Money that was spent and is not counted in the database yet. An aggregate: however long the
 * database stays away, one row for each caller, set of groups and UTC day. Cut into batches, which
 * keep their id until they are counted, so that a retry after a lost answer counts once.
 */
import { randomUUID } from 'node:crypto'
import type { Caller } from '../kernel/caller.ts'
import type { Log } from '../kernel/log.ts'
import { type Amount, toCents } from './amount.ts'
import { type Periods, periodsAt } from './period.ts'
import type { Batch, Entry } from './sync.ts'

export interface Pending {
  /** `identity`: write the person's row too. */
  add(caller: Caller, amount: Amount, nowMs: number, identity: boolean): void
  /** The batch to send: the one that is not settled yet, else a new one; null: nothing waits. */
  next(): Batch | null
  /** The batch of this id was counted. */
  settled(id: string): void
  /**
   * The database refused what is in the batch, and would again: its entries are sent one by one,
   * and the one that is refused alone is given up, with its cents in the log.
   */
  refused(id: string, reason: string): void
  readonly isEmpty: boolean
  /** Rows that wait, the batch on its way included. */
  readonly size: number
  /** Cents that wait. */
  cents(): number
}

interface Row extends Omit<Entry, 'cents' | 'identity'> {
  amount: Amount
  identity: boolean
}

/** Of one statement: a few milliseconds of the database, and a request of about 100 KiB. */
const batchEntriesMax = 500

/**
 * Rows in memory, about 400 bytes each. A company of ten thousand has that many on ten days, and
 * the warning comes on the fifth.
 */
export const pendingRowsMax = 100_000

export function createPending(log: Log, rowsMax: number = pendingRowsMax): Pending {
  return new PendingSpend(log, rowsMax)
}

/** What a batch counts of whom: from then on it is in the database's figures. */
export function countedBy(batch: Batch | null): {
  readonly bySub: ReadonlyMap<string, number>
  readonly byGroup: ReadonlyMap<string, number>
} {
  const bySub = new Map<string, number>()
  const byGroup = new Map<string, number>()
  for (const { sub, groups, cents } of batch?.entries ?? []) {
    bySub.set(sub, (bySub.get(sub) ?? 0) + cents)
    for (const group of new Set(groups)) byGroup.set(group, (byGroup.get(group) ?? 0) + cents)
  }
  return { bySub, byGroup }
}

class PendingSpend implements Pending {
  readonly #log: Log
  readonly #rowsMax: number
  readonly #rows = new Map<string, Row>()
  /** The row each caller was last added to, until rows are cut: a key is the length of all groups. */
  #lastRows = new WeakMap<Caller, Row>()
  readonly #batches: Batch[] = []
  #lost: Amount = 0n
  #hasWarned = false

  constructor(log: Log, rowsMax: number) {
    this.#log = log
    this.#rowsMax = rowsMax
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0 && this.#batches.length === 0
  }

  get size(): number {
    return this.#batches.reduce((sum, { entries }) => sum + entries.length, this.#rows.size)
  }

  add(caller: Caller, amount: Amount, nowMs: number, identity: boolean): void {
    const row = this.#rowOf(caller, periodsAt(nowMs))
    if (row === null) {
      this.#lose(caller.sub, amount)
      return
    }
    row.amount += amount
    row.identity ||= identity
  }

  next(): Batch | null {
    if (this.#batches.length === 0 && this.#rows.size > 0) this.#cut()
    return this.#batches[0] ?? null
  }

  settled(id: string): void {
    this.#remove(id)
  }

  refused(id: string, reason: string): void {
    const batch = this.#remove(id)
    const [first, ...others] = batch?.entries ?? []
    if (batch === undefined || first === undefined) return
    if (others.length === 0) {
      this.#log.error(
        `spend: the database refuses ${first.cents} cents of sub ${first.sub} on ${first.day}; given up: ${reason}`,
      )
      return
    }
    const single = batch.entries.map((entry) => ({ id: randomUUID(), entries: [entry] }))
    this.#batches.unshift(...single)
  }

  cents(): number {
    let waiting = 0n
    for (const { amount } of this.#rows.values()) waiting += amount
    const sent = this.#batches.flatMap(({ entries }) => entries.map(({ cents }) => cents))
    return sent.reduce((sum, cents) => sum + cents, toCents(waiting))
  }

  /** Null: there is no room for another. */
  #rowOf(caller: Caller, periods: Periods): Row | null {
    const day = periods.daily.key
    const last = this.#lastRows.get(caller)
    if (last?.day === day) return last
    const key = JSON.stringify([day, caller.sub, caller.groups])
    const row = this.#rows.get(key) ?? this.#open(key, caller, periods)
    if (row !== null) this.#lastRows.set(caller, row)
    return row
  }

  #open(key: string, caller: Caller, { daily, weekly, monthly }: Periods): Row | null {
    if (this.#rows.size >= this.#rowsMax) return null
    const row: Row = {
      sub: caller.sub,
      groups: caller.groups,
      day: daily.key,
      week: weekly.key,
      month: monthly.key,
      amount: 0n,
      identity: false,
      email: caller.email ?? null,
      name: caller.name ?? null,
    }
    this.#rows.set(key, row)
    this.#warnOfBound()
    return row
  }

  #cut(): void {
    const entries: Entry[] = []
    this.#lastRows = new WeakMap()
    for (const [key, { amount, ...row }] of this.#rows) {
      this.#rows.delete(key)
      entries.push({ ...row, cents: toCents(amount) })
      if (entries.length === batchEntriesMax) break
    }
    if (this.#rows.size === 0) this.#hasWarned = false
    this.#batches.push({ id: randomUUID(), entries })
  }

  #remove(id: string): Batch | undefined {
    const at = this.#batches.findIndex((batch) => batch.id === id)
    return at < 0 ? undefined : this.#batches.splice(at, 1)[0]
  }

  #warnOfBound(): void {
    if (this.#hasWarned || this.#rows.size < this.#rowsMax / 2) return
    this.#hasWarned = true
    this.#log.warn(
      `spend: ${this.#rows.size} rows wait for the database, of at most ${this.#rowsMax}; beyond that spend is lost`,
    )
  }

  #lose(sub: string, amount: Amount): void {
    this.#lost += amount
    this.#log.error(
      `spend: no room for another row; ${toCents(this.#lost)} cents lost so far, now of sub ${sub}`,
    )
  }
}
