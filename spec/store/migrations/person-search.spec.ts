import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { migrate } from '../../../lib/store/migrate.ts'
import { createPersonSearch } from '../../../lib/store/migrations/person-search.ts'
import { createDatabase, startServer, type TestDatabase } from '../../support/database.ts'
import { createRecorder } from '../../support/recorder.ts'
import { createRole } from '../../support/role.ts'
import { openStore } from '../../support/store.ts'

const own = [{ version: 1, sql: createPersonSearch }]

/** A database with the shared tables. */
async function setUp(t: TestContext, serverUrl?: string): Promise<TestDatabase> {
  const database = await createDatabase(t, serverUrl)
  await bringUp(t, database.url)
  return database
}

async function bringUp(t: TestContext, url: string, wanted: typeof own = []): Promise<void> {
  const store = openStore(t, url)
  await migrate({ store, log: createRecorder().log, own: wanted })
  await store.close()
}

const persons = async (database: Pick<TestDatabase, 'query'>) =>
  (await database.query('SELECT id, text FROM gateway_person ORDER BY id')).map((row) => [
    row['id'],
    row['text'],
  ])

const spendSql = `INSERT INTO spend (principal, period, cents) VALUES ($1, '2026-11', 1)
  ON CONFLICT (principal, period) DO UPDATE SET cents = spend.cents + 1`
const nameSql = `INSERT INTO principal_emails (principal, email, name) VALUES ($1, $2, $3)
  ON CONFLICT (principal) DO UPDATE SET email = EXCLUDED.email, name = EXCLUDED.name`

async function goThrough(t: TestContext, database: TestDatabase): Promise<void> {
  await database.query(spendSql, ['U-before'])
  await database.query(nameSql, ['U-named', 'N@x', 'Nn'])
  await bringUp(t, database.url, own)
  const before = [
    ['U-before', 'u-before\n\n'],
    ['U-named', 'u-named\nn@x\nnn'],
  ]
  assert.deepEqual(await persons(database), before)
  for (let times = 0; times < 2; times++) await database.query(spendSql, ['U-new'])
  await database.query(nameSql, ['U-new', 'New@x', null])
  await database.query(nameSql, ['U-named', 'other@x', 'Nn'])
  await database.query(spendSql, ['U-named'])
  assert.deepEqual(await persons(database), [
    ['U-before', 'u-before\n\n'],
    ['U-named', 'u-named\nother@x\nnn'],
    ['U-new', 'u-new\nnew@x\n'],
  ])
  await database.query('DELETE FROM principal_emails')
  assert.deepEqual(
    (await persons(database)).map(([, text]) => text),
    ['u-before\n\n', 'u-named\n\n', 'u-new\n\n'],
    'who is erased is found by nothing but the id',
  )
}

test('person search: has everybody from before and whoever comes, changes or is erased', async (t) => {
  await goThrough(t, await setUp(t))
})

test('person search: works the same on PostgreSQL 11', async (t) => {
  const server = await startServer(t, { major: 11 })
  await goThrough(t, await setUp(t, server.url))
})

test('person search: a first spend and a new name that cross each other leave the new name', async (t) => {
  const database = await setUp(t)
  await bringUp(t, database.url, own)
  const [one, other] = [await database.connect(), await database.connect()]
  await one.query('BEGIN')
  await one.query(spendSql, ['u'])
  const naming = other.query(nameSql, ['u', 'new@x', null])
  await new Promise((resolve) => setTimeout(resolve, 50))
  await one.query('COMMIT')
  await naming
  assert.deepEqual(await persons(database), [['u', 'u\nnew@x\n']])
})

/** Of somebody else than the owner of the tables. */
const rights = [
  'SELECT, INSERT, UPDATE, DELETE ON spend, principal_emails, _migrations',
  'CREATE ON SCHEMA public',
]

test('person search: another role writes spend and names as before, and they are found', async (t) => {
  const database = await setUp(t)
  await bringUp(t, database.url, own)
  const store = openStore(t, await createRole(t, database, rights))
  await store.transaction(
    async (tx) => {
      await tx.query(spendSql, ['u'])
      await tx.query(nameSql, ['u', 'a@x', 'A'])
    },
    { timeoutMs: 5000 },
  )
  assert.deepEqual(await persons(database), [['u', 'u\na@x\na']])
  await store.close()
})

test('person search: a role without the right to make triggers starts without it', async (t) => {
  const database = await setUp(t)
  await bringUp(t, await createRole(t, database, rights), own)
  const [row] = await database.query(`SELECT to_regclass('gateway_person') AS found`)
  assert.equal(row?.['found'], null)
  await database.query(spendSql, ['u'])
})

test('person search: who drops the table alone does not stop anybody from writing', async (t) => {
  const database = await setUp(t)
  await bringUp(t, database.url, own)
  await database.query('DROP TABLE gateway_person')
  await database.query(spendSql, ['u'])
  await database.query(nameSql, ['u', 'a@x', 'A'])
  await database.query('DELETE FROM principal_emails')
  assert.equal((await database.query('SELECT 1 FROM spend')).length, 1)
})
