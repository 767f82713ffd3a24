import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import { openDatabase } from '../../lib/store/database.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { askDoctor, assertOk, assertProblem } from '../support/doctor.ts'
import { createRecorder } from '../support/recorder.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const server = await startServer({ after })
const database = await createDatabase({ after }, server.url)
await database.query(`CREATE ROLE plain LOGIN PASSWORD 'plain-1'`)
await database.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')

const as = (role: string, change: Partial<{ password: string; database: string }> = {}): string => {
  const url = new URL(database.url)
  url.username = role
  url.password = change.password ?? `${role}-1`
  if (change.database !== undefined) url.pathname = `/${change.database}`
  return url.href
}
const ask = (postgres_url: string, store: object = {}, clock = systemClock) =>
  askDoctor({
    config: { store: { postgres_url, connect_timeout_seconds: 2, ...store } },
    clock,
  })

/** As the first start of a gateway leaves it. */
async function migrate(url: string, countsSpend = false): Promise<void> {
  const { log } = createRecorder()
  const opened = openDatabase(
    {
      postgres_url: url,
      max_connections: 2,
      connect_timeout_seconds: 5,
      readiness_grace_seconds: 0,
    },
    { clock: systemClock, log, countsSpend },
  )
  await opened.start(new AbortController().signal)
  await opened.close()
}

test('doctor database: an empty one whose role may create is fine, and nothing is created', async () => {
  const findings = await ask(database.url)
  assertOk(findings, 'Postgres', /PostgreSQL \d+, host/)
  assertOk(findings, 'Postgres rights', /may create tables in schema public; none is there yet/)
  assertOk(findings, 'Postgres TLS', /in clear/)
  assertOk(findings, 'Postgres writable', /yes/)
  assertOk(findings, 'Postgres connections', /each replica takes up to 5/)
  assertOk(findings, 'clock beside Postgres', /0\.\d s/)
  const [{ count } = {}] = await database.query(
    `SELECT count(*)::int AS count FROM pg_tables WHERE schemaname = 'public'`,
  )
  assert.equal(count, 0)
})

test('doctor database: a role without CREATE on an empty database fails with the GRANT', async () => {
  assertProblem(await ask(as('plain')), 'Postgres rights', {
    result: 'fail',
    seen: /plain may not create tables in schema public/,
    fix: /GRANT CREATE, USAGE ON SCHEMA public TO plain;/,
  })
})

test('doctor database: tables made beforehand need rights on each of them', async () => {
  const prepared = await createDatabase({ after }, server.url)
  await migrate(prepared.url)
  const url = as('plain', { database: prepared.name })
  assertProblem(await ask(url), 'Postgres rights', {
    result: 'fail',
    seen: /plain lacks SELECT, INSERT, UPDATE, DELETE on _migrations, kv/,
    fix: /GRANT SELECT, INSERT, UPDATE, DELETE ON _migrations, kv, .* TO plain;/,
  })
  await prepared.query(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain',
  )
  await prepared.query('REVOKE DELETE ON kv FROM plain')
  assertProblem(await ask(url), 'Postgres rights', {
    result: 'fail',
    seen: /plain lacks DELETE on kv$/,
    fix: /ON kv TO plain;/,
  })
  await prepared.query('GRANT DELETE ON kv TO plain')
  assertOk(
    await ask(url),
    'Postgres rights',
    /may use all tables in schema public, which are current/,
  )
})

test('doctor database: with spend counted, tables of this gateway alone are looked at too', async () => {
  const prepared = await createDatabase({ after }, server.url)
  await migrate(prepared.url)
  const url = as('plain', { database: prepared.name })
  await prepared.query(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain',
  )
  const admin = { admin: { admin_groups: ['admins'] } }
  const askCounting = () =>
    askDoctor({
      config: { ...admin, store: { postgres_url: url, connect_timeout_seconds: 2 } },
    })
  assertProblem(await askCounting(), 'Postgres rights', {
    result: 'fail',
    seen: /plain may not create tables in schema public/,
    fix: /GRANT CREATE/,
  })
  await migrate(prepared.url, true)
  assertProblem(await askCounting(), 'Postgres rights', {
    result: 'fail',
    seen: /plain lacks .* on gateway_migrations, .*gateway_spend_/,
    fix: /GRANT .* TO plain;/,
  })
  await prepared.query(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain',
  )
  assertOk(await askCounting(), 'Postgres rights', /are current/)
})

test('doctor database: a wrong password, role or database is told from a dead server', async () => {
  assertProblem(await ask(as('plain', { password: 'wrong' })), 'Postgres', {
    result: 'fail',
    seen: /password authentication failed/,
    fix: /correct the password/,
  })
  assertProblem(await ask(as('plain', { database: 'nowhere' })), 'Postgres', {
    result: 'fail',
    seen: /database "nowhere" does not exist/,
    fix: /CREATE DATABASE/,
  })
})

test('doctor database: read-only transactions fail', async () => {
  await database.query("CREATE ROLE reader LOGIN PASSWORD 'reader-1'")
  await database.query('ALTER ROLE reader SET default_transaction_read_only = on')
  assertProblem(await ask(as('reader')), 'Postgres writable', {
    result: 'fail',
    seen: /read-only/,
    fix: /default_transaction_read_only/,
  })
})

test('doctor database: a role with too few connections, and a full server, warn', async () => {
  await database.query(`CREATE ROLE few LOGIN PASSWORD 'few-1' CONNECTION LIMIT 3`)
  assertProblem(await ask(as('few')), 'Postgres connections', {
    result: 'warn',
    seen: /few may have 3 connections/,
    fix: /ALTER ROLE few CONNECTION LIMIT/,
  })
  assertProblem(await ask(database.url, { max_connections: 5000 }), 'Postgres connections', {
    result: 'warn',
    seen: /each replica takes up to 5000/,
    fix: /pooler/,
  })
})

test('doctor database: sslmode that the server cannot meet fails with where trust comes from', async () => {
  assertProblem(await ask(`${database.url}?sslmode=verify-full`), 'Postgres', {
    result: 'fail',
    seen: /SSL/,
    fix: /NODE_EXTRA_CA_CERTS/,
  })
})

test('doctor database: a clock away from that of the server fails', async () => {
  const clock = { ...systemClock, now: () => Date.now() + 600_000 }
  assertProblem(await ask(database.url, {}, clock), 'clock beside Postgres', {
    result: 'fail',
    seen: /(599|600)\.\d s ahead/,
    fix: /NTP/,
  })
})

test('doctor database: a server that hangs costs its timeout and no more', async () => {
  const proxy = await startTcpProxy({ after }, { host: '127.0.0.1', port: server.port })
  proxy.hang()
  const started = performance.now()
  const findings = await ask(proxy.through(database.url), { connect_timeout_seconds: 1 })
  assertProblem(findings, 'Postgres', { result: 'fail', seen: /timed out/, fix: /firewall/ })
  assert.ok(performance.now() - started < 25_000)
})
