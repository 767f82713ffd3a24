/**
 * Keeps what callers spend and where they stand, for one replica: accruals go to the database in
 * batches, standings come back with them, and in steady state nobody waits for either
 * (docs/decisions/0011). One statement at a time is under way; whoever asks at the same moment
 * shares it. Lives as long as the process, whatever configuration is in force.
 */
import { randomUUID } from 'node:crypto'
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { sqlState } from '../store/failure.ts'
import type { Store } from '../store/store.ts'
import type { Account, Time } from './account.ts'
import { Accounts, type Asked } from './accounts.ts'
import { type Amount, toCents } from './amount.ts'
import { countedBy, createPending, type Pending } from './pending.ts'
import { Question, type Verdict } from './question.ts'
import type { Standing } from './standing.ts'
import { type Ask, type Batch, createSync, type Sync, type SyncResult } from './sync.ts'

export interface Ledger {
  /** From memory where possible. Never rejects; bounded (`question.ts`). */
  standing(caller: Caller): Verdict | Promise<Verdict>
  /** Reserves `cents` for a call; `granted` says whether. Give them back with `release`. */
  hold(caller: Caller, cents: number): Verdict | Promise<Verdict>
  release(caller: Caller, cents: number): void
  accrue(caller: Caller, amount: Amount): void
  /** Opens a connection and lets PostgreSQL read the function, so that the first flush is fast. */
  warm(): Promise<void>
  /** Caps changed: what was known before `revision` is asked for again. */
  capsChanged(revision: bigint): void
  /** `admin.group_limit_mode` of the configuration in force. */
  setMode(mode: 'min' | 'max'): void
  /** Writes what waits, for at most `windowMs`; returns the cents that could not be written. */
  drain(windowMs: number): Promise<number>
  close(): void
  stats(): LedgerStats
}

export interface LedgerStats {
  /** Rows that wait for the database. */
  readonly rows: number
  readonly cents: number
  /** How long the oldest has waited, milliseconds. */
  readonly waitedMs: number
  readonly accounts: number
  /** Statements sent so far. */
  readonly syncs: number
  /** Callers asked about on the path of a request so far. */
  readonly asks: number
}

export interface LedgerDeps {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

/** A flush that takes longer is sent again, under the same id. */
const syncMs = 1500
/**
 * At most one flush in 100 ms, which is what `kill -9` can lose; a timer comes a millisecond or two
 * late.
 */
const flushMs = 98
/** After a pause the first accrual is written at once, but with what arrives beside it. */
const gatherMs = 10
/** Between two tries while the database is away. */
const retryMs = 1000
/** So many failures in a row say that asking is in vain … */
const failuresMax = 3
/** … for this long; then one caller tries again. */
const breakMs = 5000
/** Callers asked about in one statement: some milliseconds of the database. */
const asksMax = 500

export function createLedger(deps: LedgerDeps): Ledger {
  return new ReplicaLedger(deps)
}

class ReplicaLedger implements Ledger {
  readonly #clock: Clock
  readonly #log: Log
  readonly #sync: Sync
  readonly #pending: Pending
  readonly #accounts = new Accounts()
  /** Accounts with money held for calls under way. */
  readonly #holding = new Set<Account>()
  #touched = new Set<Account>()
  /** In the order they came. */
  readonly #waiting = new Set<Question>()
  #mode: 'min' | 'max' = 'min'
  #revision = 0n
  #running: Promise<void> | null = null
  #flushTimer: Timer | null = null
  #flushAt = 0
  #oldestAt: number | null = null
  #failures = 0
  /** The first batch was sent, and may have been counted. */
  #isUncertain = false
  #brokenUntil = 0
  #syncs = 0
  #asks = 0
  readonly #extend: Timer

  constructor({ store, clock, log }: LedgerDeps) {
    this.#clock = clock
    this.#log = log
    this.#sync = createSync(store, randomUUID(), syncMs)
    this.#pending = createPending(log)
    this.#extend = clock.every(1000, () => this.#extendHolds())
  }

  standing(caller: Caller): Verdict | Promise<Verdict> {
    const account = this.#accounts.of(caller)
    const check = account.check(caller, this.#revision, this.#time())
    if (check.kind === 'known') {
      return { kind: 'standing', standing: check.standing, granted: true }
    }
    return this.#ask(account, caller, null, check.last)
  }

  hold(caller: Caller, cents: number): Verdict | Promise<Verdict> {
    const account = this.#accounts.of(caller)
    const check = account.check(caller, this.#revision, this.#time())
    // While the database is asked about a lease it does not know of a hold made meanwhile.
    const isAsked = [account, ...account.pools].some((allowance) => allowance.isAsked)
    const isRoomKnown = !isAsked && account.hasRoomFor(cents)
    if (check.kind === 'known' && (!account.isLimited || isRoomKnown)) {
      this.#keep(account, cents)
      return { kind: 'standing', standing: check.standing, granted: true }
    }
    return this.#ask(account, caller, cents, check.kind === 'ask' ? check.last : null)
  }

  release({ sub }: Caller, cents: number): void {
    const account = this.#accounts.find(sub)
    if (account === undefined) return
    account.release(cents)
    if (account.held === 0) this.#holding.delete(account)
    // Other replicas may be waiting for the room.
    this.#touched.add(account)
    this.#scheduleFlush(gatherMs)
  }

  accrue(caller: Caller, amount: Amount): void {
    const time = this.#time()
    const account = this.#accounts.of(caller)
    const cents = toCents(amount)
    account.accrue(cents, time)
    for (const pool of account.pools) pool.accrue(cents, time)
    this.#pending.add(caller, amount, time.now, account.takeIdentity(caller, time.elapsed))
    this.#touched.add(account)
    this.#oldestAt ??= time.elapsed
    this.#scheduleFlush(gatherMs)
  }

  async warm(): Promise<void> {
    try {
      const request = { mode: this.#mode, now: this.#clock.now(), batch: null, asks: [], pools: [] }
      this.capsChanged((await this.#sync(request)).revision)
    } catch {
      // Whoever needs the database next says so.
    }
  }

  capsChanged(revision: bigint): void {
    if (revision > this.#revision) this.#revision = revision
  }

  setMode(mode: 'min' | 'max'): void {
    if (mode === this.#mode) return
    this.#mode = mode
    this.#accounts.forgetStandings()
  }

  async drain(windowMs: number): Promise<number> {
    const end = this.#clock.elapsed() + windowMs
    while (!this.#pending.isEmpty && this.#clock.elapsed() < end) {
      await this.#start(true)
      if (this.#failures > 0) await new Promise<void>((go) => this.#clock.after(flushMs, go))
    }
    return this.#pending.cents()
  }

  close(): void {
    this.#flushTimer?.cancel()
    this.#extend.cancel()
  }

  stats(): LedgerStats {
    return {
      rows: this.#pending.size,
      cents: this.#pending.cents(),
      waitedMs: this.#oldestAt === null ? 0 : this.#clock.elapsed() - this.#oldestAt,
      accounts: this.#accounts.size,
      syncs: this.#syncs,
      asks: this.#asks,
    }
  }

  #time(): Time {
    return { now: this.#clock.now(), elapsed: this.#clock.elapsed() }
  }

  #keep(account: Account, cents: number): void {
    account.hold(cents)
    this.#holding.add(account)
  }

  #ask(
    account: Account,
    caller: Caller,
    hold: number | null,
    last: Standing | null,
  ): Promise<Verdict> {
    const question = new Question(account, caller, hold, last)
    if (this.#clock.elapsed() < this.#brokenUntil) {
      question.answer({ kind: 'unknown', reason: 'the database did not answer lately' })
      return question.verdict
    }
    this.#asks += 1
    question.wait(this.#clock, () => this.#waiting.delete(question))
    this.#waiting.add(question)
    void this.#start()
    return question.verdict
  }

  /** `#run` deals with its failures itself. */
  #start(drains = false): Promise<void> {
    // Whoever asks in this turn of the event loop shares the statement.
    this.#running ??= Promise.resolve().then(() => this.#run(drains))
    return this.#running
  }

  #scheduleFlush(delayMs: number): void {
    if (this.#flushTimer !== null) return
    const wait = Math.max(delayMs, this.#flushAt - this.#clock.elapsed())
    this.#flushTimer = this.#clock.after(wait, () => {
      this.#flushTimer = null
      void this.#start()
    })
  }

  #extendHolds(): void {
    const elapsed = this.#clock.elapsed()
    const ending = [...this.#holding].filter((account) => account.wantsExtension(elapsed))
    if (ending.length === 0) return
    for (const account of ending) this.#touched.add(account)
    void this.#start()
  }

  async #run(drains: boolean): Promise<void> {
    const running = this.#running
    try {
      do await this.#once(drains)
      while (this.#waiting.size > 0)
    } finally {
      if (this.#running === running) this.#running = null
      const isWanted = !this.#pending.isEmpty || this.#touched.size > 0
      if (isWanted) this.#scheduleFlush(this.#failures > 0 ? retryMs : 0)
    }
  }

  async #once(drains: boolean): Promise<void> {
    // An answer is about the moment of its question, however long it took.
    const askedAt = this.#time()
    const { elapsed } = askedAt
    // What may be in the database's figures must go along, lest it is added to them once more.
    const isDue = drains || this.#isUncertain || elapsed >= this.#flushAt
    const batch = isDue ? this.#pending.next() : null
    const waiting = [...this.#waiting].slice(0, asksMax)
    for (const entry of waiting) this.#waiting.delete(entry)
    const accounts = this.#gather(waiting, isDue, elapsed)
    if (batch === null && accounts.size === 0) return
    if (isDue) this.#flushAt = elapsed + flushMs
    const holds = Map.groupBy(waiting, ({ account }) => account)
    const counted = countedBy(batch)
    const asks = [...accounts].map(([account, groups]): Ask => ({
      sub: account.sub,
      groups,
      want: account.want,
      held: account.outstanding(counted.bySub.get(account.sub)),
      holds: (holds.get(account) ?? []).flatMap(({ hold }) => hold ?? []),
    }))
    this.#syncs += 1
    const asked = this.#accounts.allowancesOf(accounts)
    for (const allowance of asked) {
      allowance.isAsked = true
      allowance.hasGivenBack = false
    }
    const mode = this.#mode
    try {
      const result = await this.#sync({
        mode,
        now: askedAt.now,
        batch,
        asks,
        pools: this.#accounts.poolsOf(accounts.values(), counted.byGroup),
      })
      this.#succeeded(batch)
      this.#apply([...accounts], result, waiting, askedAt)
      // The caps were combined as nobody wants it any more.
      if (mode !== this.#mode) this.#accounts.forgetStandings()
    } catch (error) {
      this.#failed(batch, waiting, error)
    } finally {
      for (const allowance of asked) allowance.isAsked = false
    }
  }

  /** Accounts to ask about with their groups: those that wait, then those in use. */
  #gather(
    waiting: readonly Question[],
    isDue: boolean,
    elapsed: number,
  ): Map<Account, readonly string[]> {
    const accounts = new Map<Account, readonly string[]>()
    for (const { account, caller } of waiting) accounts.set(account, caller.groups)
    if (!isDue) return accounts
    const rest = new Set<Account>()
    for (const account of this.#touched) {
      if (accounts.size >= asksMax) rest.add(account)
      else if (!accounts.has(account) && account.wantsRenewal(elapsed)) {
        accounts.set(account, account.groups)
      }
    }
    this.#touched = rest
    return accounts
  }

  #succeeded(batch: Batch | null): void {
    if (this.#failures >= failuresMax) this.#log.info('spend: the database answers again')
    this.#failures = 0
    this.#isUncertain = false
    this.#brokenUntil = 0
    if (batch === null) return
    this.#pending.settled(batch.id)
    this.#oldestAt = this.#pending.isEmpty ? null : this.#clock.elapsed()
    this.#accounts.settle(batch.entries)
  }

  #apply(asked: Asked, result: SyncResult, waiting: readonly Question[], askedAt: Time): void {
    this.capsChanged(result.revision)
    const granted = this.#accounts.apply(asked, result, askedAt, this.#clock.elapsed())
    for (const question of waiting) {
      const { account, hold, isOver } = question
      const left = granted.get(account) ?? 0
      const isGranted = hold === null || left > 0
      if (hold !== null) granted.set(account, left - 1)
      // Nobody would give back what is held for a call that went on long ago.
      if (hold !== null && isGranted && !isOver) this.#keep(account, hold)
      const { now } = askedAt
      const standing = isGranted ? account.standing(now) : account.promised(now)
      question.answer({ kind: 'standing', standing, granted: isGranted })
    }
  }

  #failed(batch: Batch | null, waiting: readonly Question[], error: unknown): void {
    const reason = describe(error)
    const state = sqlState(error)
    // Classes 22 and 23 of PostgreSQL: it is the data that is wrong, and would be again.
    const isRefused = state !== undefined && /^2[23]/.test(state)
    if (batch !== null && isRefused) this.#pending.refused(batch.id, reason)
    this.#isUncertain = batch !== null && !isRefused
    this.#failures += 1
    if (this.#failures === 1 || waiting.length > 0) {
      this.#log.warn(
        waiting.length > 0
          ? `spend check failed: ${reason}`
          : `spend: ${this.#pending.cents()} cents wait for the database: ${reason}`,
      )
    }
    if (this.#failures >= failuresMax) this.#brokenUntil = this.#clock.elapsed() + breakMs
    for (const question of waiting) question.answer({ kind: 'unknown', reason })
  }
}

function describe(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof DeadlineExceeded || !(at.cause instanceof Error)) return at.message
  }
  return String(error)
}
