/**
 * Several replicas with the real ledger, gate, revision poll and SQL on a real PostgreSQL whose
 * clock is simulated with theirs; calls, crashes, bad networks, changes of limits and the turn of
 * periods at random. Every decision is held against the naive model as it is made.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Caller } from '../../../lib/kernel/caller.ts'
import type { Clock } from '../../../lib/kernel/clock.ts'
import { amountOf } from '../../../lib/spend/amount.ts'
import type { SpendGate } from '../../../lib/spend/gate.ts'
import { periodsAt } from '../../../lib/spend/period.ts'
import { announceCapChange } from '../../../lib/spend/revision.ts'
import { createSpend, type Spend } from '../../../lib/spend/spend.ts'
import { migrate } from '../../../lib/store/migrate.ts'
import { ownMigrations } from '../../../lib/store/migrations/own.ts'
import type { Store } from '../../../lib/store/store.ts'
import {
  createDatabase,
  type Scope as SpecScope,
  type TestDatabase,
} from '../../support/database.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import type { Random } from '../../support/random.ts'
import { createRecorder, type Recorder } from '../../support/recorder.ts'
import { openStore, plenty } from '../../support/store.ts'
import { Book, type Scope, type Settled, sum } from './book.ts'
import {
  type Decision,
  flushMs,
  isRightlyRefused,
  overstated,
  recoveryMs,
  scopesOf,
  slackMs,
  stepMs,
  wronglyAdmitted,
} from './rules.ts'
import { Traffic, type Weather, weathered } from './weather.ts'

export interface SimulationOptions {
  readonly reserve: boolean
  readonly seconds: number
  readonly replicas: number
}

export interface Figures {
  calls: number
  refused: number
  unchecked: number
  crashes: number
  changes: number
  lost: number
}

interface Replica {
  readonly name: string
  readonly bornAt: number
  readonly spend: Spend
  readonly gate: SpendGate
  readonly recorder: Recorder
  readonly hint: { heard: ((detail: string) => void) | undefined }
  alive: boolean
  weather: Weather
  fairSince: number
  foulSince: number
}

/** A reservation, and until when others may have to count it. */
interface Hold {
  readonly caller: Caller
  readonly replica: string
  readonly cents: number
  until: number
}

const somebody = (sub: string, ...groups: string[]): Caller => ({
  sub,
  groups,
  email: undefined,
  name: undefined,
  expiresAt: 0,
})
const callers = [
  somebody('alice', 'eng'),
  somebody('bob', 'eng', 'ops'),
  somebody('carol', 'ops'),
  somebody('dave'),
  somebody('eve'),
] as const

/** Each a few seconds before an end: of a day; of a day and a week; of a month; of everything. */
const starts = ['2026-11-25', '2026-11-29', '2026-06-30', '2023-12-31'] as const
/** Beside a pool a group has a cap of its own for each seat; this one is in nobody's way. */
const seatCents = 1_000_000_000

const admin = {
  write_keys: [],
  read_keys: [],
  admin_groups: [],
  audit_retention_days: 365,
  spend_retention_months: 13,
  identity_retention_days: 90,
  group_limit_mode: 'min',
} as const

export async function simulate(
  scope: SpecScope,
  random: Random,
  options: SimulationOptions,
): Promise<Figures> {
  const database = await createDatabase(scope)
  const end = Date.parse(`${random.pick(starts)}T23:59:59.999Z`)
  const clock = createFakeClock(end - 1000 * (5 + random.below(options.seconds)))
  await fakeTimeOf(database)
  const store = openStore(scope, database.url)
  await migrate({ store, log: createRecorder().log, own: ownMigrations })
  const world = new World(store, clock, random, options)
  await world.run()
  return world.figures
}

/** Ours is found before the server's own, because the path names that one last. */
async function fakeTimeOf(database: TestDatabase): Promise<void> {
  await database.query(`
    CREATE SCHEMA fake;
    CREATE TABLE fake.moment (at timestamptz NOT NULL);
    INSERT INTO fake.moment VALUES (pg_catalog.now());
    CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
      AS 'SELECT at FROM fake.moment';
    CREATE FUNCTION fake.now() RETURNS timestamptz LANGUAGE sql STABLE
      AS 'SELECT at FROM fake.moment';
    ALTER DATABASE ${database.name} SET search_path = public, fake, pg_catalog`)
}

class World {
  readonly figures: Figures = {
    calls: 0,
    refused: 0,
    unchecked: 0,
    crashes: 0,
    changes: 0,
    lost: 0,
  }
  readonly #book = new Book()
  readonly #traffic = new Traffic()
  readonly #store: Store
  readonly #clock: FakeClock
  readonly #random: Random
  readonly #options: SimulationOptions
  readonly #replicas: Replica[] = []
  readonly #holds = new Set<Hold>()
  readonly #problems: string[] = []
  #lives = 0
  #begunAt = 0
  #busyPercent = 50
  /** Every announced change makes all replicas ask again; without any, what they remember counts. */
  readonly #announcedPercent: number

  constructor(store: Store, clock: FakeClock, random: Random, options: SimulationOptions) {
    this.#store = store
    this.#clock = clock
    this.#random = random
    this.#options = options
    this.#announcedPercent = random.pick([0, 80])
  }

  async run(): Promise<void> {
    await this.#step()
    for (const scope of callers.flatMap(scopesOf)) {
      this.#book.setLimit(scope, null, Number.NEGATIVE_INFINITY, null)
      await this.#setLimit(scope, this.#pickAmount())
    }
    this.#begunAt = this.#clock.now()
    for (let index = 0; index < this.#options.replicas; index++) this.#start(index)
    const steps = (this.#options.seconds * 1000) / stepMs
    for (let step = 0; step < steps; step++) {
      await this.#act()
      await this.#step()
    }
    await this.#finish()
  }

  /** Simulated time goes on once the database and everybody who waits for it are done. */
  async #step(byMs = stepMs): Promise<void> {
    const at = new Date(this.#clock.now() + byMs)
    await this.#store.query('UPDATE fake.moment SET at = $1', [at], plenty)
    await this.#clock.advance(byMs)
    await this.#traffic.quiet()
    const { rows } = await this.#store.query<{
      kind: Scope['kind']
      id: string
      key: string
      cents: number
    }>(
      `SELECT 'user' AS kind, principal AS id, period AS key, cents FROM spend
       UNION ALL SELECT 'pool', rbac_group_id, period, cents FROM pooled_spend`,
      [],
      plenty,
    )
    for (const { kind, id, key, cents } of rows) {
      this.#book.saw(kind, id, key, cents, this.#clock.now())
    }
    for (const hold of this.#holds) {
      if (hold.until < this.#clock.now() - longestAskMs) this.#holds.delete(hold)
    }
    assert.deepEqual(this.#problems, [])
  }

  async #act(): Promise<void> {
    const random = this.#random
    if (random.chance(1)) this.#busyPercent = random.pick([0, 10, 50, 70])
    for (const [index, replica] of this.#replicas.entries()) {
      if (!replica.alive) continue
      if (random.below(1000) < 2) this.#crash(index)
      else if (replica.weather === 'fair' && random.below(1000) < 4) this.#spoil(replica)
    }
    if (random.chance(2)) await this.#changeLimit()
    while (random.chance(this.#busyPercent)) {
      const replica = this.#pickAlive()
      if (replica === undefined) return
      // Its failures are collected.
      void this.#call(replica, random.pick(callers)).catch((error: unknown) => {
        this.#problems.push(String(error))
      })
    }
  }

  #pickAlive(): Replica | undefined {
    const alive = this.#replicas.filter((replica) => replica.alive)
    return alive[this.#random.below(alive.length)]
  }

  #start(index: number): void {
    this.#lives += 1
    const name = `replica ${index + 1}, life ${this.#lives}`
    const recorder = createRecorder()
    const hint: Replica['hint'] = { heard: undefined }
    const replica: { current: Replica | undefined } = { current: undefined }
    const isAlive = () => replica.current === undefined || replica.current.alive
    const clock = mortal(this.#clock, isAlive)
    const spend = createSpend(
      {
        store: weathered({
          store: this.#store,
          traffic: this.#traffic,
          clock: this.#clock,
          random: this.#random,
          weather: () => replica.current?.weather ?? 'fair',
        }),
        hints: {
          on: (_topic, action) => {
            hint.heard = action
            return () => {}
          },
          onGap: () => () => {},
          start: () => {},
          close: () => {},
        },
        clock,
        log: recorder.log,
        audit: recorder.audit,
      },
      admin,
    )
    spend.start()
    // Fail closed tells what was refused for want of an answer; the simulation lets it pass.
    const gate = spend.gate({ admin, fail_closed_on_error: true, reserve: this.#options.reserve })
    const bornAt = this.#clock.now()
    const born: Replica = {
      name,
      bornAt,
      spend,
      gate,
      recorder,
      hint,
      alive: true,
      weather: 'fair',
      fairSince: bornAt,
      foulSince: Number.POSITIVE_INFINITY,
    }
    replica.current = born
    this.#replicas[index] = born
  }

  #crash(index: number): void {
    const replica = this.#replicas[index]
    if (replica === undefined) return
    this.figures.crashes += 1
    replica.alive = false
    replica.spend.close()
    const now = this.#clock.now()
    const isSteady = now >= replica.fairSince + recoveryMs || replica.fairSince === replica.bornAt
    const writtenUntil = (isSteady ? now : replica.foulSince) - flushMs - slackMs
    for (const call of this.#book.settled) {
      if (call.replica === replica.name) call.certain = call.at < writtenUntil
    }
    // Nobody gives back what it held: its leases end.
    for (const hold of this.#holds) {
      if (hold.replica === replica.name) hold.until = Math.min(hold.until, now + leaseGoneMs)
    }
    this.#clock.after(this.#random.below(3000), () => this.#start(index))
  }

  #spoil(replica: Replica): void {
    const random = this.#random
    const now = this.#clock.now()
    const isSteady = now >= replica.fairSince + recoveryMs || replica.fairSince === replica.bornAt
    // Reservations end when the database hears nothing for ten seconds; that is another promise.
    if (!isSteady && this.#options.reserve) return
    if (isSteady) replica.foulSince = now
    replica.weather = random.pick(['slow', 'lossy', 'refusing', 'hanging'])
    replica.fairSince = Number.POSITIVE_INFINITY
    // Reservations are renewed from four seconds of age on and end after ten.
    const lastsMs = 200 + random.below(this.#options.reserve ? 3000 : 14_000)
    this.#clock.after(lastsMs, () => {
      replica.weather = 'fair'
      replica.fairSince = this.#clock.now()
    })
  }

  /** Where money is reserved everything is limited all the time. */
  #pickAmount(): number | null {
    const random = this.#random
    if (!this.#options.reserve && random.chance(75)) return null
    return random.pick([0, 5, 100, 300, 300, 1000, 3000])
  }

  async #changeLimit(): Promise<void> {
    const random = this.#random
    this.figures.changes += 1
    const amount = this.#pickAmount()
    const scope: Scope = random.chance(70)
      ? {
          kind: 'user',
          id: random.pick(callers).sub,
          period: random.pick(['daily', 'weekly', 'monthly']),
        }
      : { kind: 'pool', id: random.pick(['eng', 'ops']), period: 'monthly' }
    const by = random.chance(this.#announcedPercent) ? this.#pickAlive() : undefined
    const revision = await this.#setLimit(scope, amount, by)
    if (by === undefined || revision === null) return
    by.spend.capsChanged(revision)
    for (const replica of this.#replicas) {
      // Half of the hints are lost.
      if (replica === by || random.chance(50)) continue
      this.#clock.after(random.below(100), () => replica.hint.heard?.(String(revision)))
    }
  }

  async #setLimit(scope: Scope, amount: number | null, by?: Replica): Promise<bigint | null> {
    const isPool = scope.kind === 'pool'
    const revision = await this.#store.transaction(async (tx) => {
      await tx.query(
        `INSERT INTO spend_limits (id, scope_type, scope_id, period, amount, pooled_limit_enabled,
           pooled_monthly_credit_limit)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (scope_type, scope_id, period) DO UPDATE SET amount = EXCLUDED.amount,
           pooled_limit_enabled = EXCLUDED.pooled_limit_enabled,
           pooled_monthly_credit_limit = EXCLUDED.pooled_monthly_credit_limit`,
        [
          `spl_${randomUUID()}`,
          isPool ? 'rbac_group' : 'user',
          scope.id,
          scope.period,
          isPool ? seatCents : amount,
          isPool && amount !== null,
          isPool ? (amount ?? seatCents) : null,
        ],
      )
      return by === undefined ? null : announceCapChange(tx)
    }, plenty)
    this.#book.setLimit(scope, amount, this.#clock.now(), by?.name ?? null)
    return revision
  }

  async #call(replica: Replica, caller: Caller): Promise<void> {
    const random = this.#random
    const cents = 1 + random.below(20)
    const lastsMs = random.pick([0, 50, 500, 3000])
    const startedAt = this.#clock.now()
    const requestId = randomUUID()
    this.figures.calls += 1
    const first = await replica.gate.admit(caller, requestId)
    const hold: Hold = {
      caller,
      replica: replica.name,
      cents: cents + random.below(20),
      until: Number.POSITIVE_INFINITY,
    }
    if (this.#options.reserve) this.#holds.add(hold)
    const second =
      first.kind === 'admitted'
        ? await replica.gate.reserve(caller, requestId, () => amountOf(hold.cents / 100))
        : first
    if (!replica.alive) return
    const decision = this.#decision(replica, caller, startedAt, hold)
    const isUnchecked = this.#isUnchecked(replica, requestId)
    if (second.kind === 'refused' && !isUnchecked) {
      this.#holds.delete(hold)
      this.figures.refused += 1
      if (!isRightlyRefused(this.#book, decision)) {
        const audit = replica.recorder.lastAudit('spend.blocked')
        const known = scopesOf(caller).map((scope) => {
          const spent = sum(this.#book.under(scope, decision.endedAt))
          return `${scope.kind} ${scope.id} ${scope.period} ${spent} + ${decision.promised(scope)}`
        })
        this.#problem(decision, `refused below the limit: ${audit}; ${known.join(', ')}`)
      }
      return
    }
    if (isUnchecked) {
      this.figures.unchecked += 1
      // The statement may have been executed all the same, much later even.
      hold.until = this.#clock.now() + lateMs + leaseGoneMs
      const isSteady = startedAt >= replica.fairSince + brokenMs + recoveryMs
      if (isSteady) this.#problem(decision, 'nobody was asked')
    } else {
      const headers = first.kind === 'admitted' ? first.headers : []
      const told = headers.find(([name]) => name.endsWith('-overage-utilization'))?.[1] ?? '0'
      const wrong =
        wronglyAdmitted(this.#book, decision) ?? overstated(this.#book, decision, Number(told))
      if (wrong !== null) this.#problem(decision, wrong)
    }
    this.#clock.after(lastsMs, () => {
      if (!replica.alive) return
      replica.gate.accrue(caller, amountOf(cents / 100))
      if ('release' in second) second.release()
      // Others hear of it with the next flush.
      const now = this.#clock.now()
      const isHeard = now >= replica.fairSince + recoveryMs || replica.fairSince === replica.bornAt
      if (!isUnchecked) hold.until = now + (isHeard ? flushMs + 2 * slackMs : leaseGoneMs)
      const { sub, groups } = caller
      this.#book.settle({
        sub,
        groups,
        cents,
        at: this.#clock.now(),
        admittedAt: decision.endedAt,
        replica: replica.name,
        unchecked: isUnchecked,
        certain: true,
      })
    })
  }

  #decision(replica: Replica, caller: Caller, startedAt: number, own: Hold): Decision {
    const { reserve, replicas } = this.#options
    return {
      caller,
      startedAt,
      endedAt: this.#clock.now(),
      replica,
      promised: (scope) => {
        if (!reserve) return 0
        const held = [...this.#holds].filter(
          (hold) =>
            hold !== own &&
            hold.until > startedAt &&
            scopesOf(hold.caller).some(({ kind, id }) => kind === scope.kind && id === scope.id),
        )
        // Leases of others, a tenth of what is left at most; the dead keep theirs for a while.
        const amounts = this.#book.versions(scope).map(({ amount }) => amount ?? 0)
        return sum(held) + Math.min(this.#lives, 2 * replicas) * Math.max(50, ...amounts) * 0.1
      },
    }
  }

  #isUnchecked(replica: Replica, requestId: string): boolean {
    return replica.recorder.audits.some(
      (line) => line['request_id'] === requestId && line['cause'] === 'store_error',
    )
  }

  #problem({ caller, startedAt, endedAt, replica }: Decision, what: string): void {
    this.#problems.push(
      `${new Date(startedAt).toISOString()} +${endedAt - startedAt} ms, ${replica.name} (born ${startedAt - replica.bornAt} ms ago, fair for ${startedAt - replica.fairSince} ms), ${caller.sub}: ${what}`,
    )
  }

  async #finish(): Promise<void> {
    for (const replica of this.#replicas) replica.weather = 'fair'
    for (let passedMs = 0; passedMs < quietMs; passedMs += 100) await this.#step(100)
    for (const { alive, spend } of this.#replicas) {
      const { rows, cents } = spend.stats()
      if (alive) assert.deepEqual({ rows, cents }, { rows: 0, cents: 0 })
    }
    this.#compareTotals()
    if (this.#options.reserve) this.#boundOvershoot()
    const { rows: leases } = await this.#store.query(
      'SELECT kind, id, cents FROM gateway_spend_lease WHERE expires_at > clock_timestamp()',
      [],
      plenty,
    )
    assert.deepEqual(leases, [], 'nothing is under way, and yet money is held')
    await this.#probe()
    for (const replica of this.#replicas) replica.spend.close()
  }

  /** Nothing is held any more, and everybody has heard of everything. */
  async #probe(): Promise<void> {
    for (const { alive, name, gate } of this.#replicas) {
      if (!alive) continue
      for (const caller of callers) {
        const first = await gate.admit(caller, name)
        const second =
          first.kind === 'admitted' ? await gate.reserve(caller, name, () => amountOf(0.01)) : first
        if ('release' in second) second.release()
        // What is given back is told to the others.
        await this.#step(100)
        await this.#step(100)
        const isSpent = scopesOf(caller).some((scope) => {
          const amount = this.#book.versions(scope).at(-1)?.amount ?? null
          const { key } = periodsAt(this.#clock.now())[scope.period]
          return amount !== null && this.#book.counted(scope.kind, scope.id, key) >= amount
        })
        assert.equal(second.kind === 'refused', isSpent, `${name}, ${caller.sub} at the end`)
      }
    }
  }

  /** Every settled call once; of those a crash may have taken, some. */
  #compareTotals(): void {
    const keys = new Set(this.#book.settled.flatMap(({ at }) => [at]).map((at) => periodsAt(at)))
    const checked = new Set<string>()
    for (const periods of keys) {
      for (const scope of callers.flatMap(scopesOf)) {
        const { key, startsAt } = periods[scope.period]
        if (checked.has(`${scope.kind} ${scope.id} ${key}`)) continue
        checked.add(`${scope.kind} ${scope.id} ${key}`)
        const all = this.#book.under(scope, startsAt)
        const certain = sum(all.filter((call) => call.certain))
        const found = this.#book.counted(scope.kind, scope.id, key)
        const what = `${scope.kind} ${scope.id} ${key}: ${found} of ${certain} to ${sum(all)} cents`
        assert.ok(found >= certain - 1e-6 && found <= sum(all) + 1e-6, what)
        if (scope.kind === 'user' && scope.period === 'monthly')
          this.figures.lost += sum(all) - found
      }
    }
  }

  /** With reservations: at most one call above the highest limit the period has seen. */
  #boundOvershoot(): void {
    for (const scope of callers.flatMap(scopesOf)) {
      const versions = this.#book.versions(scope).filter(({ until }) => until > this.#begunAt)
      if (versions.some(({ amount }) => amount === null)) continue
      const highest = Math.max(...versions.map(({ amount }) => amount ?? 0))
      const calls = this.#book.under(scope, this.#clock.now())
      // What a crash took nobody can have counted.
      const checked: Settled[] = calls.filter(({ unchecked, certain }) => certain && !unchecked)
      const one = Math.max(0, ...checked.map(({ cents }) => cents))
      assert.ok(
        sum(checked) < highest + one || checked.length === 0,
        `${scope.kind} ${scope.id}: ${sum(checked)}`,
      )
    }
  }
}

/** A lease of the dead, by the database's clock. */
const leaseGoneMs = 10_000 + slackMs
/** The longest call, what it leaves, and some. */
const quietMs = 16_000
/** A decision counts what was held when it began. */
const longestAskMs = 5000
/** A statement on a bad network. */
const lateMs = 4000
/** After three failures nobody asks for this long. */
const brokenMs = 5000

/** The clock of a replica stops with it. */
function mortal(clock: Clock, isAlive: () => boolean): Clock {
  const guarded = (action: () => void) => () => {
    if (isAlive()) action()
  }
  return {
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    after: (delayMs, action) => clock.after(delayMs, guarded(action)),
    every: (periodMs, action) => clock.every(periodMs, guarded(action)),
  }
}
