import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { migrate } from '../../../lib/store/migrate.ts'
import {
  createSpendCount,
  createSpendSync,
  createSpendTables,
} from '../../../lib/store/migrations/spend-sync.ts'
import { createDatabase, startServer, type TestDatabase } from '../../support/database.ts'
import { createRecorder } from '../../support/recorder.ts'
import { openStore } from '../../support/store.ts'

const request = {
  seq: 1,
  replica: '00000000-0000-4000-8000-000000000001',
  mode: 'min',
  want: 50,
  lease_seconds: 10,
  periods: { daily: '2026-11-27', weekly: '2026-W48', monthly: '2026-11' },
  batch: {
    id: '00000000-0000-4000-8000-000000000002',
    entries: [
      {
        sub: 'u',
        groups: ['eng'],
        day: '2026-11-27',
        week: '2026-W48',
        month: '2026-11',
        cents: 2,
        identity: true,
        email: null,
        name: null,
      },
    ],
  },
  asks: [{ sub: 'u', groups: ['eng'], want: 50, held: 0, holds: [1] }],
  pools: [],
}

async function setUp(t: TestContext, serverUrl?: string): Promise<TestDatabase> {
  const database = await createDatabase(t, serverUrl)
  const own = [createSpendTables, createSpendCount, createSpendSync].map((sql, index) => ({
    version: index + 1,
    sql,
  }))
  const store = openStore(t, database.url)
  await migrate({ store, log: createRecorder().log, own })
  await store.close()
  return database
}

const sync = async (database: TestDatabase): Promise<unknown> => {
  const [row] = await database.query('SELECT gateway_spend_sync($1) AS reply', [
    JSON.stringify(request),
  ])
  return row?.['reply']
}

const expected = {
  revision: '1',
  pools: [],
  accounts: [{ sub: 'u', caps: [], pools: [], lease: 1, granted: 1 }],
}

test('spend sync: an unlimited caller is counted and answered', async (t) => {
  const database = await setUp(t)
  assert.deepEqual(await sync(database), expected)
  assert.deepEqual(await database.query('SELECT DISTINCT cents FROM spend'), [{ cents: 2 }])
})

test('spend sync: runs on PostgreSQL 11', async (t) => {
  const server = await startServer(t, { major: 11 })
  const database = await setUp(t, server.url)
  assert.deepEqual(await sync(database), expected)
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, pooled_limit_enabled,
       pooled_monthly_credit_limit) VALUES ('a', 'rbac_group', 'eng', 100, true, 500)`,
  )
  const reply = await sync(database)
  assert.deepEqual(reply, {
    revision: '1',
    pools: [{ id: 'eng', lease: 51 }],
    accounts: [
      {
        sub: 'u',
        caps: [{ period: 'monthly', cap: '100', source: 'rbac_group', id: 'a', spent: 2 }],
        pools: [{ group: 'eng', limit: '500', spent: 0 }],
        lease: 10.8,
        granted: 1,
      },
    ],
  })
})
