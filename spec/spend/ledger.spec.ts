import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestContext, test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { amountOf } from '../../lib/spend/amount.ts'
import { createLedger, type Ledger } from '../../lib/spend/ledger.ts'
import type { Verdict } from '../../lib/spend/question.ts'
import { announceCapChange } from '../../lib/spend/revision.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { ownMigrations } from '../../lib/store/migrations/own.ts'
import type { QueryOptions, QueryResult, Store } from '../../lib/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder, type Recorder } from '../support/recorder.ts'
import { openStore, plenty } from '../support/store.ts'

const alice: Caller = { sub: 'alice', email: 'a@x', name: undefined, groups: ['eng'], expiresAt: 0 }
const cents = (value: number) => amountOf(value / 100)

interface Trouble {
  /** What happens to the next statements of the ledger, one each; a number: its answer takes so long. */
  readonly next: ('lost-answer' | 'refused' | number)[]
  statements: number
}

interface Bench {
  readonly database: TestDatabase
  readonly store: Store
  replica(trouble?: Trouble): { ledger: Ledger; recorder: Recorder }
}

async function setUp(t: TestContext): Promise<Bench> {
  const database = await createDatabase(t)
  const store = openStore(t, database.url)
  await migrate({ store, log: createRecorder().log, own: ownMigrations })
  return {
    database,
    store,
    replica(trouble = { next: [], statements: 0 }) {
      const recorder = createRecorder()
      const ledger = createLedger({
        store: troubled(openStore(t, database.url), trouble),
        clock: systemClock,
        log: recorder.log,
      })
      t.after(() => ledger.close())
      return { ledger, recorder }
    },
  }
}

/** The real store, whose answers get lost or whose calls are refused as told. */
function troubled(store: Store, trouble: Trouble): Store {
  return {
    ...store,
    async query<Row>(text: string, values: readonly unknown[], options: QueryOptions) {
      trouble.statements += 1
      const what = trouble.next.shift()
      if (what === 'refused') throw new Error('connection refused')
      const result: QueryResult<Row> = await store.query<Row>(text, values, options)
      if (what === 'lost-answer') throw new Error('the connection was reset')
      if (typeof what === 'number') await sleep(what)
      return result
    },
  }
}

async function setCap(
  { database, store }: Bench,
  sub: string,
  amount: number | null,
): Promise<bigint> {
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
     VALUES ($1, 'user', $2, $3, 'monthly')
     ON CONFLICT (scope_type, scope_id, period) DO UPDATE SET amount = EXCLUDED.amount`,
    [`spl_${randomUUID()}`, sub, amount],
  )
  return store.transaction(announceCapChange, plenty)
}

async function spentOf({ database }: Bench, sub = 'alice'): Promise<number> {
  const [row] = await database.query(
    `SELECT cents FROM spend WHERE principal = $1 AND period LIKE '____-__'`,
    [sub],
  )
  return Number(row?.['cents'] ?? 0)
}

const kindOf = (verdict: Verdict): string =>
  verdict.kind === 'standing' ? verdict.standing.kind : verdict.kind

test('ledger: accruals of many calls are one statement, and their sum is in the database', async (t) => {
  const bench = await setUp(t)
  const trouble: Trouble = { next: [], statements: 0 }
  const { ledger } = bench.replica(trouble)
  for (let index = 0; index < 100; index++) ledger.accrue(alice, cents(1))
  assert.equal(await ledger.drain(10_000), 0)
  assert.equal(await spentOf(bench), 100)
  assert.equal(trouble.statements, 1)
})

test('ledger: an answer that was lost is asked for again and counted once', async (t) => {
  const bench = await setUp(t)
  const { ledger } = bench.replica({ next: ['lost-answer', 'lost-answer'], statements: 0 })
  ledger.accrue(alice, cents(7))
  await sleep(150)
  ledger.accrue(alice, cents(1))
  assert.equal(await ledger.drain(20_000), 0)
  assert.equal(await spentOf(bench), 8)
})

test('ledger: what was counted without an answer is not held against its caller twice', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 100)
  const trouble: Trouble = { next: [], statements: 0 }
  const { ledger } = bench.replica(trouble)
  await ledger.warm()
  trouble.next.push('lost-answer')
  ledger.accrue(alice, cents(60))
  while (trouble.statements < 2) await sleep(1)
  const verdict = await ledger.standing(alice)
  assert.ok(verdict.kind === 'standing' && verdict.standing.kind === 'within')
  assert.equal(verdict.standing.cap.spent, 60)
})

test('ledger: in steady state nobody asks the database on the way of a call', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 100_000)
  const trouble: Trouble = { next: [], statements: 0 }
  const { ledger } = bench.replica(trouble)
  assert.equal(kindOf(await ledger.standing(alice)), 'within')
  for (let round = 0; round < 100; round++) {
    const verdict = ledger.standing(alice)
    assert.ok(!(verdict instanceof Promise), `round ${round} asked`)
    ledger.accrue(alice, cents(0.5))
    await sleep(10)
  }
  assert.equal(ledger.stats().asks, 1)
  assert.ok(trouble.statements < 40, `${trouble.statements} statements`)
})

test('ledger: what a caller spent counts for the next call at once, before it is written', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 10)
  const { ledger } = bench.replica({ next: [], statements: 0 })
  assert.equal(kindOf(await ledger.standing(alice)), 'within')
  ledger.accrue(alice, cents(11))
  assert.equal(kindOf(await ledger.standing(alice)), 'over-cap')
})

test('ledger: near a cap each call asks, so that another replica is heard', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 10)
  const one = bench.replica().ledger
  const two = bench.replica().ledger
  assert.equal(kindOf(await one.standing(alice)), 'within')
  assert.equal(kindOf(await two.standing(alice)), 'within')
  one.accrue(alice, cents(5))
  await one.drain(5000)
  two.accrue(alice, cents(5))
  await two.drain(5000)
  assert.equal(kindOf(await one.standing(alice)), 'over-cap')
  assert.equal(kindOf(await two.standing(alice)), 'over-cap')
})

test('ledger: a change of caps is asked for with the next call', async (t) => {
  const bench = await setUp(t)
  const { ledger } = bench.replica()
  assert.equal(kindOf(await ledger.standing(alice)), 'open')
  ledger.capsChanged(await setCap(bench, 'alice', 0))
  assert.equal(kindOf(await ledger.standing(alice)), 'over-cap')
  ledger.capsChanged(await setCap(bench, 'alice', null))
  assert.equal(kindOf(await ledger.standing(alice)), 'open')
})

test('ledger: other groups of the same person are asked about', async (t) => {
  const bench = await setUp(t)
  await bench.database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('a', 'rbac_group', 'ops', 0)`,
  )
  const { ledger } = bench.replica()
  assert.equal(kindOf(await ledger.standing(alice)), 'open')
  assert.equal(kindOf(await ledger.standing({ ...alice, groups: ['ops'] })), 'over-cap')
})

test('ledger: callers that ask at the same moment share one statement', async (t) => {
  const bench = await setUp(t)
  const trouble: Trouble = { next: [], statements: 0 }
  const { ledger } = bench.replica(trouble)
  const callers = Array.from({ length: 200 }, (_, index) => ({ ...alice, sub: `u-${index}` }))
  const verdicts = await Promise.all(
    callers.map((caller) => Promise.resolve(ledger.standing(caller))),
  )
  assert.ok(verdicts.every((verdict) => kindOf(verdict) === 'open'))
  assert.ok(trouble.statements <= 2, `${trouble.statements} statements`)
})

test('ledger: after three failures nobody waits for a while, and a spent cap stays spent', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'blocked', 0)
  const blocked = { ...alice, sub: 'blocked' }
  const trouble: Trouble = { next: [], statements: 0 }
  const { ledger, recorder } = bench.replica(trouble)
  assert.equal(kindOf(await ledger.standing(blocked)), 'over-cap')
  await sleep(1100)
  trouble.next.push('refused', 'refused', 'refused', 'refused')
  for (const _ of [1, 2, 3]) assert.equal(kindOf(await ledger.standing(alice)), 'unknown')
  const asked = trouble.statements
  assert.equal(kindOf(await ledger.standing(alice)), 'unknown')
  assert.equal(kindOf(await ledger.standing(blocked)), 'over-cap')
  assert.equal(trouble.statements, asked)
  assert.equal(recorder.lines.filter((line) => /spend check failed/.test(line)).length, 3)
})

test('ledger: reservations of two replicas together overrun a cap by at most one call', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 100)
  const ledgers = [bench.replica().ledger, bench.replica().ledger]
  const calls = Array.from({ length: 200 }, async (_, index) => {
    const ledger = ledgers[index % 2]
    assert.ok(ledger)
    const verdict = await ledger.hold(alice, 7)
    if (verdict.kind !== 'standing' || !verdict.granted) {
      assert.equal(kindOf(verdict), 'over-cap')
      return 0
    }
    await sleep(5)
    ledger.accrue(alice, cents(7))
    ledger.release(alice, 7)
    return 1
  })
  const passed = (await Promise.all(calls)).filter((one) => one === 1).length
  for (const ledger of ledgers) await ledger.drain(5000)
  const spent = await spentOf(bench)
  assert.equal(spent, passed * 7)
  assert.ok(spent >= 80 && spent < 107, `spent ${spent}`)
})

test('ledger: what members of a group reserved stays reserved when another one comes', async (t) => {
  const bench = await setUp(t)
  await bench.database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period, pooled_limit_enabled,
       pooled_monthly_credit_limit) VALUES ('p', 'rbac_group', 'eng', NULL, 'monthly', true, 100)`,
  )
  const [one, other] = [bench.replica().ledger, bench.replica().ledger]
  const granted = async (ledger: Ledger, sub: string, held: number): Promise<boolean> => {
    const verdict = await ledger.hold({ ...alice, sub }, held)
    return verdict.kind === 'standing' && verdict.granted
  }
  assert.equal(await granted(one, 'alice', 80), true)
  // Known to nobody; what the replica says of the pool must not make the database forget alice.
  assert.equal(kindOf(await one.standing({ ...alice, sub: 'bob' })), 'open')
  assert.equal(await granted(other, 'carol', 80), true)
  assert.equal(await granted(other, 'dave', 80), false)
})

test('ledger: nothing is reserved out of a pool while the database is asked about it', async (t) => {
  const bench = await setUp(t)
  await bench.database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period, pooled_limit_enabled,
       pooled_monthly_credit_limit) VALUES ('p', 'rbac_group', 'eng', NULL, 'monthly', true, 1000)`,
  )
  const { ledger } = bench.replica()
  await ledger.standing(alice)
  assert.ok(!(ledger.hold(alice, 1) instanceof Promise))
  const about = ledger.standing({ ...alice, sub: 'bob' })
  await Promise.resolve()
  const held = ledger.hold(alice, 1)
  assert.ok(held instanceof Promise)
  assert.deepEqual([kindOf(await about), kindOf(await held)], ['open', 'open'])
})

test('ledger: a reservation that is given back unspent makes room on other replicas', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 10)
  const [one, other] = [bench.replica().ledger, bench.replica().ledger]
  const granted = async (ledger: Ledger): Promise<boolean> => {
    const verdict = await ledger.hold(alice, 10)
    return verdict.kind === 'standing' && verdict.granted
  }
  assert.equal(await granted(one), true)
  assert.equal(await granted(other), false)
  one.release(alice, 10)
  const begun = performance.now()
  // A lease would end after ten seconds.
  while (!(await granted(other))) assert.ok(performance.now() - begun < 5000)
})

test('ledger: a reservation that is given back makes room again', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 10)
  const { ledger } = bench.replica()
  const granted = async (): Promise<boolean> => {
    const verdict = await ledger.hold(alice, 10)
    return verdict.kind === 'standing' && verdict.granted
  }
  assert.equal(await granted(), true)
  assert.equal(await granted(), false)
  ledger.release(alice, 10)
  assert.equal(await granted(), true)
})

test('ledger: what is granted after its caller went on is held for nobody', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 10)
  const { ledger } = bench.replica({ next: [1000, 1000], statements: 0 })
  const first = ledger.standing(alice)
  await sleep(50)
  // It waits for the first statement, and its own one ends when it has waited for too long.
  assert.equal(kindOf(await ledger.hold(alice, 10)), 'unknown')
  assert.equal(kindOf(await first), 'within')
  await sleep(700)
  const verdict = await ledger.hold(alice, 10)
  assert.ok(verdict.kind === 'standing' && verdict.granted)
})

/** A replica on a clock moved by hand, and what happens while the database works on its next statement. */
function timedReplica(t: TestContext, { database }: Bench, startAt: string) {
  const clock = createFakeClock(Date.parse(startAt))
  const meanwhile: (() => Promise<void> | void)[] = []
  const store = openStore(t, database.url)
  const query = async <Row>(text: string, values: readonly unknown[]) => {
    const result = await store.query<Row>(text, values, plenty)
    await meanwhile.shift()?.()
    return result
  }
  const ledger = createLedger({ store: { ...store, query }, clock, log: createRecorder().log })
  t.after(() => ledger.close())
  return { clock, ledger, meanwhile }
}

test('ledger: a lease is as old as the question for it, however long the answer took', async (t) => {
  const bench = await setUp(t)
  await setCap(bench, 'alice', 100_000)
  const { clock, ledger, meanwhile } = timedReplica(t, bench, '2026-11-25T12:00:00Z')
  meanwhile.push(() => clock.advance(1400))
  assert.equal(kindOf(await ledger.standing(alice)), 'within')
  await clock.advance(7500)
  assert.ok(!(ledger.standing(alice) instanceof Promise))
  await clock.advance(100)
  const again = ledger.standing(alice)
  assert.ok(again instanceof Promise)
  assert.equal(kindOf(await again), 'within')
})

test('ledger: an answer that arrives after midnight is about the day before', async (t) => {
  const bench = await setUp(t)
  await bench.database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
     VALUES ('a', 'user', 'alice', 100, 'daily')`,
  )
  await bench.database.query(
    `INSERT INTO spend (principal, period, cents) VALUES ('alice', '2026-11-25', 100)`,
  )
  const { clock, ledger, meanwhile } = timedReplica(t, bench, '2026-11-25T23:59:59.500Z')
  meanwhile.push(() => clock.advance(1000))
  assert.equal(kindOf(await ledger.standing(alice)), 'over-cap')
  assert.equal(kindOf(await ledger.standing(alice)), 'within')
})

test('ledger: caps that were combined under an older configuration are asked for again', async (t) => {
  const bench = await setUp(t)
  await bench.database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount)
     VALUES ('a', 'rbac_group', 'eng', 0), ('b', 'rbac_group', 'ops', 100)`,
  )
  const { ledger, meanwhile } = timedReplica(t, bench, '2026-11-25T12:00:00Z')
  const member = { ...alice, groups: ['eng', 'ops'] }
  meanwhile.push(() => ledger.setMode('max'))
  assert.equal(kindOf(await ledger.standing(member)), 'over-cap')
  assert.equal(kindOf(await ledger.standing(member)), 'within')
})
