import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { migrate } from '../../lib/store/migrate.ts'
import type { Store } from '../../lib/store/store.ts'
import { startSweep } from '../../lib/store/sweep.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

const database = await createDatabase()
const store = openStore({ after }, database.url)
await migrate({ store, log: createRecorder().log })

function setUp(t: TestContext, on: Store = store) {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const sweep = startSweep({ store: on, clock, log })
  t.after(() => sweep.stop())
  return { clock, lines, sweep }
}

const fill = (count: number, interval: string) =>
  database.query(
    `INSERT INTO kv (key, value, expires_at)
     SELECT gen.n || $2, 'x', now() + $2::interval FROM generate_series(1, $1) AS gen(n)`,
    [count, interval],
  )
const countRows = async () =>
  Number((await database.query('SELECT count(*) AS n FROM kv'))[0]?.['n'])

/** Fails as told, without a database. */
function brokenStore(next: () => Error): Store {
  const broken = () => Promise.reject(next())
  return {
    query: broken,
    transaction: broken,
    answers: async () => false,
    connections: () => ({ open: 0, idle: 0, waiting: 0, max: 0 }),
    close: async () => {},
  }
}

test('sweep: expired rows go, living and endless ones stay', async (t) => {
  await fill(3, '-1 second')
  await fill(2, '1 hour')
  await database.query(`INSERT INTO kv (key, value) VALUES ('endless', 'x')`)
  const { sweep, lines } = setUp(t)
  await sweep.run()
  assert.equal(await countRows(), 3)
  assert.deepEqual(lines, [])
  await database.query('DELETE FROM kv')
})

test('sweep: a round removes more than one batch holds', async (t) => {
  await fill(2500, '-1 minute')
  const { sweep } = setUp(t)
  await sweep.run()
  assert.equal(await countRows(), 0)
})

test('sweep: replicas sweeping at once do not wait for each other or fail', async (t) => {
  await fill(3000, '-1 minute')
  const others = [
    setUp(t),
    setUp(t, openStore(t, database.url)),
    setUp(t, openStore(t, database.url)),
  ]
  await Promise.all(others.map(({ sweep }) => sweep.run()))
  await others[0]?.sweep.run()
  assert.equal(await countRows(), 0)
  assert.deepEqual(
    others.flatMap(({ lines }) => lines),
    [],
  )
})

test('sweep: a row held by somebody else is left to them', async (t) => {
  await fill(2, '-1 minute')
  const { sweep } = setUp(t)
  await store.transaction(
    async (tx) => {
      await tx.query(`SELECT 1 FROM kv WHERE key LIKE '1%' FOR UPDATE`)
      await sweep.run()
      assert.equal(await countRows(), 1)
    },
    { timeoutMs: 20_000 },
  )
  await database.query('DELETE FROM kv')
})

test('sweep: runs every thirty seconds until stopped', async (t) => {
  let rounds = 0
  const counting: Store = {
    ...store,
    query: () => {
      rounds++
      return Promise.resolve({ rows: [], count: 0 })
    },
  }
  const { clock, sweep } = setUp(t, counting)
  await clock.advance(29_999)
  assert.equal(rounds, 0)
  await clock.advance(1)
  assert.equal(rounds, 1)
  await clock.advance(60_000)
  assert.equal(rounds, 3)
  sweep.stop()
  await clock.advance(60_000)
  assert.equal(rounds, 3)
})

test('sweep: an outage is a warning once, and its end is said', async (t) => {
  let down = true
  const failing: Store = {
    ...store,
    query: (...parts) =>
      down ? Promise.reject(new Error('connection refused')) : store.query(...parts),
  }
  const { lines, sweep } = setUp(t, failing)
  await sweep.run()
  await sweep.run()
  down = false
  await sweep.run()
  await sweep.run()
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    ['warn', 'debug', 'info'],
  )
  assert.match(lines[0] ?? '', /connection refused/)
})

test('sweep: a read-only Postgres is a warning every round', async (t) => {
  const readOnly = openStore(t, `${database.url}?default_transaction_read_only=on`)
  const { lines, sweep } = setUp(t, readOnly)
  await sweep.run()
  await sweep.run()
  assert.equal(lines.length, 2)
  for (const line of lines) assert.match(line, /^warn Postgres is read-only/)
})

test('sweep: no failure escapes', async (t) => {
  const { sweep } = setUp(
    t,
    brokenStore(() => new TypeError('odd')),
  )
  await sweep.run()
})
