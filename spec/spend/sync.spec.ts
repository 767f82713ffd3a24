import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { migrate } from '../../lib/store/migrate.ts'
import { ownMigrations } from '../../lib/store/migrations/own.ts'
import type { Store } from '../../lib/store/store.ts'
import { announceCapChange, readRevision } from '../../lib/spend/revision.ts'
import {
  type Ask,
  createSync,
  type Entry,
  type Sync,
  type SyncRequest,
} from '../../lib/spend/sync.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore, plenty } from '../support/store.ts'

const now = Date.parse('2026-11-27T12:00:00Z')
const entry: Entry = {
  sub: 'u-1',
  groups: ['eng'],
  day: '2026-11-27',
  week: '2026-W48',
  month: '2026-11',
  cents: 1.5,
  identity: true,
  email: 'a@example.com',
  name: 'A',
}
const ask: Ask = { sub: 'u-1', groups: ['eng'], want: 50, held: 0, holds: [] }
const quiet: SyncRequest = { mode: 'min', now, batch: null, asks: [], pools: [] }

async function setUp(
  t: TestContext,
): Promise<{ database: TestDatabase; store: Store; replica: () => Sync }> {
  const database = await createDatabase(t)
  const store = openStore(t, database.url)
  await migrate({ store, log: createRecorder().log, own: ownMigrations })
  return { database, store, replica: () => createSync(store, randomUUID(), plenty.timeoutMs) }
}

function addCap(
  database: TestDatabase,
  scope: string,
  id: string,
  amount: number | null,
  period = 'monthly',
  pool: number | null = null,
): Promise<unknown> {
  return database.query(
    `INSERT INTO spend_limits
       (id, scope_type, scope_id, amount, period, pooled_limit_enabled, pooled_monthly_credit_limit)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [`spl_${randomUUID()}`, scope, id, amount, period, pool !== null, pool],
  )
}

const spendOf = (database: TestDatabase) =>
  database.query('SELECT principal, period, cents FROM spend ORDER BY principal, period')

test('sync: a batch adds to the three rows of a principal, and writes who it is', async (t) => {
  const { database, replica } = await setUp(t)
  const sync = replica()
  await sync({ ...quiet, batch: { id: randomUUID(), entries: [entry] } })
  await sync({ ...quiet, batch: { id: randomUUID(), entries: [{ ...entry, cents: 0.25 }] } })
  assert.deepEqual(await spendOf(database), [
    { principal: 'u-1', period: '2026-11', cents: 1.75 },
    { principal: 'u-1', period: '2026-11-27', cents: 1.75 },
    { principal: 'u-1', period: '2026-W48', cents: 1.75 },
  ])
  assert.deepEqual(
    await database.query('SELECT principal, email, name, groups FROM principal_emails'),
    [{ principal: 'u-1', email: 'a@example.com', name: 'A', groups: ['eng'] }],
  )
  assert.deepEqual(await database.query('SELECT * FROM principal_groups'), [
    { day: '2026-11-27', principal: 'u-1', groups: ['eng'] },
  ])
})

test('sync: a batch that is sent again counts once, even while the first is under way', async (t) => {
  const { database, replica } = await setUp(t)
  const sync = replica()
  const batch = { id: randomUUID(), entries: [entry] }
  await Promise.all([1, 2, 3, 4].map(() => sync({ ...quiet, batch })))
  await sync({ ...quiet, batch })
  assert.deepEqual(
    (await spendOf(database)).map(({ cents }) => cents),
    [1.5, 1.5, 1.5],
  )
})

test('sync: only groups with a pool count what their members spend', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'rbac_group', 'eng', 500, 'monthly', 1000)
  await addCap(database, 'rbac_group', 'ops', 500)
  const entries = [
    { ...entry, groups: ['eng', 'ops', 'eng'] },
    { ...entry, sub: 'u-2', groups: ['eng'], cents: 2 },
  ]
  await replica()({ ...quiet, batch: { id: randomUUID(), entries } })
  assert.deepEqual(await database.query('SELECT rbac_group_id, period, cents FROM pooled_spend'), [
    { rbac_group_id: 'eng', period: '2026-11', cents: 3.5 },
  ])
})

test('sync: text that PostgreSQL cannot hold loses only what it cannot hold', async (t) => {
  const { database, replica } = await setUp(t)
  const odd = { ...entry, sub: 'u\u0000-\ud800', name: '\udfff', groups: ['a\u0000b', "'; DROP"] }
  await replica()({ ...quiet, batch: { id: randomUUID(), entries: [odd] } })
  const [row] = await database.query('SELECT principal, name, groups FROM principal_emails')
  assert.deepEqual(row, { principal: 'u-\ufffd', name: '\ufffd', groups: ['ab', "'; DROP"] })
})

test('sync: an account has its caps, what was spent of each, and a lease of a tenth', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'user', 'u-1', 100, 'daily')
  await addCap(database, 'organization', '', 1000, 'monthly')
  await addCap(database, 'rbac_group', 'eng', null, 'weekly')
  const batch = { id: randomUUID(), entries: [{ ...entry, cents: 40 }] }
  const { accounts, revision } = await replica()({ ...quiet, batch, asks: [ask] })
  assert.equal(revision, 1n)
  const [account] = accounts
  assert.deepEqual(
    account?.caps.map(({ period, cap, source, spent }) => ({ period, cap, source, spent })),
    [
      { period: 'daily', cap: 100n, source: 'user', spent: 40 },
      { period: 'monthly', cap: 1000n, source: 'organization', spent: 40 },
      { period: 'weekly', cap: null, source: 'rbac_group', spent: 40 },
    ],
  )
  assert.equal(account?.lease, 6)
})

test('sync: what other replicas have leased is not leased again', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'user', 'u-1', 10, 'daily')
  const hold = { ...ask, want: 0, holds: [4] }
  const [first, second, third] = [replica(), replica(), replica()]
  assert.equal((await first({ ...quiet, asks: [hold] })).accounts[0]?.granted, 1)
  assert.equal((await second({ ...quiet, asks: [hold] })).accounts[0]?.granted, 1)
  const last = await third({ ...quiet, asks: [{ ...hold, holds: [4, 4] }] })
  // Two cents are left: the first call still gets in, the second does not.
  assert.equal(last.accounts[0]?.granted, 1)
  assert.equal(
    (await second({ ...quiet, asks: [{ ...ask, held: 4, holds: [1] }] })).accounts[0]?.granted,
    0,
  )
})

test('sync: holds of a replica that is gone end with its lease', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'user', 'u-1', 10, 'daily')
  const hold = { ...ask, want: 0, holds: [20] }
  await replica()({ ...quiet, asks: [hold] })
  const other = replica()
  assert.equal((await other({ ...quiet, asks: [hold] })).accounts[0]?.granted, 0)
  await database.query(`UPDATE gateway_spend_lease SET expires_at = now() - interval '1 second'`)
  assert.equal((await other({ ...quiet, asks: [hold] })).accounts[0]?.granted, 1)
})

test('sync: a pool is leased to a replica for all of its members together', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'rbac_group', 'eng', 500, 'monthly', 100)
  const asks = [
    { ...ask, want: 0, holds: [60] },
    { ...ask, sub: 'u-2', want: 0, holds: [60] },
    { ...ask, sub: 'u-3', want: 0, holds: [60] },
  ]
  const { accounts, poolLeases } = await replica()({ ...quiet, asks })
  assert.deepEqual(
    accounts.map(({ granted }) => granted),
    [1, 1, 0],
  )
  assert.equal(poolLeases.get('eng'), 120)
  assert.deepEqual(accounts[0]?.pools, [{ group: 'eng', limit: 100n, spent: 0 }])
})

test('sync: a paused pool neither blocks nor leases', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'rbac_group', 'eng', 500, 'monthly', 0)
  await database.query('UPDATE spend_limits SET pooled_limit_enabled = false')
  const { accounts } = await replica()({ ...quiet, asks: [{ ...ask, holds: [1] }] })
  assert.deepEqual([accounts[0]?.granted, accounts[0]?.pools], [1, []])
})

test('sync: many replicas that count and ask for the same people never block each other', async (t) => {
  const { database, replica } = await setUp(t)
  await addCap(database, 'organization', '', 1_000_000)
  await addCap(database, 'rbac_group', 'eng', 500_000, 'monthly', 1_000_000)
  const subs = Array.from({ length: 20 }, (_, index) => `u-${index}`)
  const work = Array.from({ length: 8 }, async (_, index) => {
    const sync = replica()
    const mine = index % 2 === 0 ? subs : subs.toReversed()
    for (let round = 0; round < 5; round++) {
      const entries = mine.map((sub) => ({ ...entry, sub, cents: 1 }))
      const asks = mine.map((sub) => ({ ...ask, sub }))
      await sync({ ...quiet, batch: { id: randomUUID(), entries }, asks })
    }
  })
  await Promise.all(work)
  const rows = await spendOf(database)
  assert.equal(rows.length, 60)
  assert.ok(rows.every(({ cents }) => cents === 40))
  const [pool] = await database.query('SELECT cents FROM pooled_spend')
  assert.equal(pool?.['cents'], 800)
})

test('revision: grows with each change, and not with one that is rolled back', async (t) => {
  const { store } = await setUp(t)
  assert.equal(await readRevision(store), 1n)
  assert.equal(await store.transaction(announceCapChange, plenty), 2n)
  const undone = store.transaction(async (tx) => {
    await announceCapChange(tx)
    throw new Error('undone')
  }, plenty)
  await assert.rejects(undone, /undone/)
  assert.equal(await readRevision(store), 2n)
})

test('sync: caps that change while they are read come with the revision before the change', async (t) => {
  const { database, store, replica } = await setUp(t)
  await addCap(database, 'rbac_group', 'eng', null, 'monthly', 1000)
  const sync = replica()
  await sync({ ...quiet, asks: [ask] })
  const before = await readRevision(store)
  // The pool's lease is written after the caps were read, and waits for this session.
  const holder = await database.connect()
  await holder.query('BEGIN')
  await holder.query(`SELECT 1 FROM gateway_spend_lease WHERE kind = 'group' FOR UPDATE`)
  const answer = sync({ ...quiet, asks: [ask] })
  for (let waits = 0; waits === 0;) {
    const [row] = await database.query(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    waits = Number(row?.['n'])
  }
  await store.transaction(async (tx) => {
    await tx.query(
      `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('c', 'user', 'u-1', 0)`,
    )
    await announceCapChange(tx)
  }, plenty)
  await holder.query('COMMIT')
  const { revision, accounts } = await answer
  assert.deepEqual(
    accounts[0]?.caps.map(({ cap }) => cap),
    [null],
  )
  assert.equal(revision, before)
})

test('sync: a statement that arrives after a later one of its replica leaves the leases alone', async (t) => {
  const { database, store } = await setUp(t)
  await addCap(database, 'user', 'u-1', 100)
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  let statements = 0
  const slow: Store = {
    ...store,
    async query<Row>(text: string, values: readonly unknown[]) {
      statements += 1
      if (statements === 1) await held
      return store.query<Row>(text, values, plenty)
    },
  }
  const [one, other] = [createSync(slow, randomUUID(), 1), createSync(store, randomUUID(), 20_000)]
  const batch = { id: randomUUID(), entries: [{ ...entry, cents: 10 }] }
  const late = one({ ...quiet, batch, asks: [ask] })
  await one({ ...quiet, asks: [{ ...ask, holds: [60, 30] }] })
  release()
  await late
  // 10 are spent and 90 held: there is no room for anybody.
  const { accounts } = await other({ ...quiet, asks: [{ ...ask, holds: [5] }] })
  assert.deepEqual([accounts[0]?.granted, accounts[0]?.caps[0]?.spent], [0, 10])
})
