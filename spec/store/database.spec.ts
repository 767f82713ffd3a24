import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { StoreConfig } from '../../lib/store/config.ts'
import { openDatabase } from '../../lib/store/database.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { plenty } from '../support/store.ts'

function open(t: TestContext, over: Partial<StoreConfig> & { postgres_url: string }) {
  const recorder = createRecorder()
  const database = openDatabase(
    { max_connections: 5, connect_timeout_seconds: 5, readiness_grace_seconds: 0, ...over },
    { clock: systemClock, log: recorder.log },
  )
  t.after(() => database.close())
  return { database, lines: recorder.lines }
}

const signal = new AbortController().signal

test('database: start connects and migrates, and every part works on the same tables', async (t) => {
  const { url } = await createDatabase(t)
  const { database, lines } = open(t, { postgres_url: url })
  await database.start(signal)
  assert.equal(lines.length, 9)
  await database.kv.set('key', 'value', 60)
  assert.equal(await database.kv.take('key'), 'value')
  assert.equal((await database.rateLimit.hit('rl:x', 1, 60)).allowed, true)
  assert.equal(await database.readiness(), null)
})

test('database: listening for hints takes one of the allowed connections, but never the only one', async (t) => {
  const own = await createDatabase(t)
  const connected = `SELECT query FROM pg_stat_activity
    WHERE datname = '${own.name}' AND backend_type = 'client backend' AND pid <> pg_backend_pid()`
  for (const max_connections of [3, 1]) {
    const { database } = open(t, { postgres_url: own.url, max_connections })
    await database.start(signal)
    const gap = new Promise<void>((resolve) => database.hints.onGap(resolve))
    database.hints.start()
    if (max_connections > 1) await gap
    const busy = Array.from({ length: 12 }, () =>
      database.store.query('SELECT pg_sleep(0.05)', [], plenty),
    )
    await database.store.query('SELECT pg_sleep(0)', [], plenty)
    const statements = await own.query(connected)
    assert.equal(statements.length, max_connections)
    const listening = statements.filter(({ query: text }) => /^listen/i.test(String(text)))
    assert.equal(listening.length, max_connections > 1 ? 1 : 0)
    await Promise.all(busy)
    await database.close()
  }
})

test('database: a role and password beside the URL are used, whatever characters they have', async (t) => {
  const server = await startServer(t)
  const other = await createDatabase(t, server.url)
  const [username, password] = ['o"dd @:/role', `x y/@:%41#?'"\\`]
  await other.query(
    `CREATE ROLE "${username.replace('"', '""')}" SUPERUSER LOGIN PASSWORD '${password.replace("'", "''")}'`,
  )
  const url = new URL(server.url)
  url.username = 'nobody'
  url.password = 'wrong'
  const { database } = open(t, { postgres_url: url.href, username, password })
  await database.start(signal)
  const { rows } = await database.store.query('SELECT current_user AS name', [], plenty)
  assert.deepEqual(rows, [{ name: username }])
})

test('database: nothing is connected before start, and start fails with one line', async (t) => {
  const { database } = open(t, { postgres_url: 'postgres://u:s3cret@127.0.0.1:1/x' })
  assert.equal(await database.readiness(), 'store unavailable')
  const abort = new AbortController()
  const starting = database.start(abort.signal)
  starting.catch(() => {})
  abort.abort(new Error('enough'))
  await assert.rejects(starting, /enough/)
})

test('database: a URL that the check refuses is refused here too, without its secret', (t) => {
  const url = 'postgres://u:s3cret@a,b/x'
  assert.throws(
    () => open(t, { postgres_url: url }),
    (error) =>
      error instanceof Error && /one host/.test(error.message) && !/s3cret/.test(error.message),
  )
})

test('database: after close nothing is asked any more', async (t) => {
  const { url } = await createDatabase(t)
  const { database } = open(t, { postgres_url: url })
  await database.start(signal)
  await database.close()
  assert.equal(await database.readiness(), 'store unavailable')
})
