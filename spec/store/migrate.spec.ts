import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { createKv } from '../../lib/store/kv.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { readCatalogue, type Catalogue } from '../support/catalogue.ts'
import { createDatabase, startServer, type TestDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { createRole } from '../support/role.ts'
import { openStore, plenty } from '../support/store.ts'

/** Read from a database that the reference made. */
const reference: Catalogue = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/store/reference-schema.json'), 'utf8'),
)

type Own = NonNullable<Parameters<typeof migrate>[0]['own']>

/** Migrates as one replica would, and returns what it logged after the first line. */
async function run(t: TestContext, url: string, own?: Own): Promise<string[]> {
  const { log, lines } = createRecorder()
  const store = openStore(t, url)
  try {
    await migrate({ store, log, ...(own === undefined ? {} : { own }) })
  } finally {
    await store.close()
  }
  const [first, ...rest] = lines
  assert.match(first ?? '', /^info waiting for migration lock \(.*key 6775156/)
  return rest
}

const allApplied = [1, 2, 3, 4, 5, 6, 7, 8].map((version) => `info migration ${version} applied`)

const versionsOf = async (database: TestDatabase, table = '_migrations') =>
  (await database.query(`SELECT version FROM ${table} ORDER BY version`)).map(
    (row) => row['version'],
  )

test('migrate: an empty database gets exactly the schema of the reference', async (t) => {
  const database = await createDatabase(t)
  assert.deepEqual(await run(t, database.url), allApplied)
  assert.deepEqual(await readCatalogue(database), reference)
  assert.deepEqual(await versionsOf(database), [1, 2, 3, 4, 5, 6, 7, 8])
})

test('migrate: PostgreSQL 11 gets the same', async (t) => {
  const server = await startServer(t, { major: 11 })
  const database = await createDatabase(t, server.url)
  assert.deepEqual(await run(t, database.url), allApplied)
  assert.deepEqual(await readCatalogue(database), reference)
  assert.deepEqual(await run(t, database.url), [])
})

test('migrate: a second boot applies nothing and says only that it waits', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  const [before] = await database.query('SELECT max(applied_at) AS at FROM _migrations')
  assert.deepEqual(await run(t, database.url), [])
  assert.deepEqual(await database.query('SELECT max(applied_at) AS at FROM _migrations'), [before])
})

test('migrate: versions of a later release are left alone', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  await database.query('INSERT INTO _migrations (version) VALUES (9), (40)')
  await database.query('ALTER TABLE kv ADD COLUMN of_a_later_release text')
  assert.deepEqual(await run(t, database.url), [])
  assert.deepEqual((await versionsOf(database)).slice(-2), [9, 40])
})

test('migrate: a database of an earlier release is completed, its rows stay', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  for (const statement of [
    'DELETE FROM _migrations WHERE version > 3',
    'DROP FUNCTION caps_by_period(text, text[], text)',
    `CREATE FUNCTION caps_by_period(p_principal text, p_groups text[], p_mode text)
     RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`,
    'ALTER TABLE spend_limits DROP COLUMN pooled_limit_enabled, DROP COLUMN pooled_monthly_credit_limit',
    'ALTER TABLE spend_limits DROP CONSTRAINT spend_limits_currency_check',
    'ALTER TABLE principal_emails DROP COLUMN groups',
    'DROP TABLE pooled_spend, admin_audit',
    'DROP INDEX spend_period_cents, kv_expires_at, spend_limits_scope',
    `INSERT INTO kv (key, value) VALUES ('kept', 'x')`,
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('spl_1', 'user', 'u', 5)`,
  ]) {
    await database.query(statement)
  }
  assert.deepEqual(await run(t, database.url), allApplied.slice(3))
  assert.deepEqual(await readCatalogue(database), reference)
  const [kept] = await database.query(`SELECT value FROM kv WHERE key = 'kept'`)
  assert.equal(kept?.['value'], 'x')
  const [cap] = await database.query('SELECT amount, pooled_limit_enabled FROM spend_limits')
  assert.deepEqual(cap, { amount: '5', pooled_limit_enabled: false })
})

test('migrate: tables made beforehand without any record are taken as they are', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  await database.query('DROP TABLE _migrations')
  assert.deepEqual(await run(t, database.url), allApplied)
  assert.deepEqual(await readCatalogue(database), reference)
})

test('migrate: a role without CREATE works on a complete database', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  await database.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
  const url = await createRole(t, database, [
    'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public',
  ])
  assert.deepEqual(await run(t, url), [])
  const kv = createKv(openStore(t, url))
  await kv.set('key', 'value', 60)
  assert.equal(await kv.take('key'), 'value')
})

test('migrate: a role that may not create what is missing fails with the reason', async (t) => {
  const database = await createDatabase(t)
  await database.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
  await database.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
  const url = await createRole(t, database, [])
  const failure: unknown = await run(t, url).catch((error: unknown) => error)
  assert.ok(failure instanceof GatewayError)
  assert.match(failure.detail ?? '', /permission denied for schema public/)
})

test('migrate: replicas starting together apply every version once', async (t) => {
  const database = await createDatabase(t)
  const logs = await Promise.all(Array.from({ length: 6 }, () => run(t, database.url)))
  assert.deepEqual(logs.flat().toSorted(), allApplied)
  assert.equal(logs.filter((lines) => lines.length > 0).length, 1)
  assert.deepEqual(await readCatalogue(database), reference)
})

test('migrate: waits for a replica of the reference that holds the lock', async (t) => {
  const database = await createDatabase(t)
  const other = await database.connect()
  await other.query('SELECT pg_advisory_lock(6775156)')
  let done = false
  const running = run(t, database.url).finally(() => (done = true))
  const waiting = () =>
    database.query(
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 6775156 AND objsubid = 1
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT granted`,
    )
  while ((await waiting()).length === 0) assert.equal(done, false)
  await other.end()
  assert.deepEqual(await running, allApplied)
  const held = await database.query(
    `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 6775156
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  )
  assert.equal(held.length, 0, 'and gives the lock back')
})

test('migrate: a lock that is never given back ends the boot with a reason', async (t) => {
  const database = await createDatabase(t)
  const other = await database.connect()
  await other.query('SELECT pg_advisory_lock(6775156)')
  const store = openStore(t, database.url)
  await assert.rejects(
    migrate({ store, log: createRecorder().log, lockWaitMs: 200 }),
    (error) => error instanceof GatewayError && /lock timeout/.test(error.detail ?? ''),
  )
  await other.end()
})

test('migrate: a step that fails leaves nothing behind', async (t) => {
  const database = await createDatabase(t)
  await database.query('CREATE VIEW admin_audit AS SELECT 1 AS id')
  await assert.rejects(run(t, database.url), GatewayError)
  const left = await database.query(
    `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  )
  assert.deepEqual(left, [])
})

test('migrate: the tables may live in a schema of the search path', async (t) => {
  const database = await createDatabase(t)
  await database.query('CREATE SCHEMA gateway')
  const url = `${database.url}?search_path=gateway`
  assert.deepEqual(await run(t, url), allApplied)
  assert.deepEqual(await run(t, url), [])
  const [table] = await database.query(`SELECT to_regclass('gateway.kv')::text AS name`)
  assert.equal(table?.['name'], 'gateway.kv')
})

test('migrate: nothing of our own is made while there is nothing of our own', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url, [])
  const [table] = await database.query(`SELECT to_regclass('gateway_migrations') AS name`)
  assert.equal(table?.['name'], null)
})

test('migrate: our own tables are made once, in order, and recorded apart', async (t) => {
  const database = await createDatabase(t)
  const first = {
    version: 1,
    sql: 'CREATE TABLE own_things (id int); CREATE INDEX own_i ON own_things (id)',
  }
  const second = { version: 2, sql: 'ALTER TABLE own_things ADD COLUMN size int' }
  const together = await Promise.all([run(t, database.url, [first]), run(t, database.url, [first])])
  assert.deepEqual(together.flat().toSorted(), [
    ...allApplied.slice(0, 1),
    `info migration 1 of this gateway's own tables applied`,
    ...allApplied.slice(1),
  ])
  assert.deepEqual(await run(t, database.url, [first, second]), [
    `info migration 2 of this gateway's own tables applied`,
  ])
  assert.deepEqual(await run(t, database.url, [first, second]), [])
  assert.deepEqual(await versionsOf(database, 'gateway_migrations'), [1, 2])
  assert.deepEqual(await versionsOf(database), [1, 2, 3, 4, 5, 6, 7, 8])
})

test('migrate: the shared function and table can be used right away', async (t) => {
  const database = await createDatabase(t)
  await run(t, database.url)
  const store = openStore(t, database.url)
  await store.query(
    `INSERT INTO spend (principal, period, cents) VALUES ('u', '2026-11', 1.5)
     ON CONFLICT (principal, period) DO UPDATE SET cents = spend.cents + EXCLUDED.cents`,
    [],
    plenty,
  )
  const { count } = await store.query(`SELECT * FROM caps_by_period('u', '{}', 'min')`, [], plenty)
  assert.equal(count, 0)
})
