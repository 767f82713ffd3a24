import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import { fail, GatewayError } from '../../lib/kernel/errors.ts'
import type { Store } from '../../lib/store/store.ts'
import { createDatabase, startServer, type TestDatabase } from '../support/database.ts'
import { openStore, plenty } from '../support/store.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

async function setUp(
  t: TestContext,
  options: { max?: number; connectTimeoutMs?: number } = {},
): Promise<{ database: TestDatabase; proxy: TcpProxy; store: Store }> {
  const database = await createDatabase(t)
  const port = Number(new URL(database.url).port)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port })
  const store = openStore(t, proxy.through(database.url), options)
  return { database, proxy, store }
}

const unavailable = (error: unknown): error is GatewayError =>
  error instanceof GatewayError && error.code === 'store/unavailable'

async function backends(database: TestDatabase, state: string): Promise<number> {
  const rows = await database.query(
    `SELECT 1 FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = $1`,
    [state],
  )
  return rows.length
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

test('store: a query answers with its rows and their count', async (t) => {
  const { store } = await setUp(t)
  const { rows, count } = await store.query<{ n: number }>(
    'SELECT n::int FROM generate_series(1, $1) AS n',
    [3],
    plenty,
  )
  assert.deepEqual(rows, [{ n: 1 }, { n: 2 }, { n: 3 }])
  assert.equal(count, 3)
  await store.query('CREATE TABLE t (n int)', [], plenty)
  assert.equal((await store.query('INSERT INTO t VALUES (1), (2)', [], plenty)).count, 2)
})

test('store: a transaction commits what it did, or nothing of it', async (t) => {
  const { store } = await setUp(t)
  await store.query('CREATE TABLE t (n int PRIMARY KEY)', [], plenty)
  const answer = await store.transaction(async (tx) => {
    await tx.query('INSERT INTO t VALUES ($1)', [1])
    return (await tx.query<{ n: number }>('SELECT n FROM t')).rows[0]?.n
  }, plenty)
  assert.equal(answer, 1)

  const refusal = store.transaction(async (tx) => {
    await tx.query('INSERT INTO t VALUES (2)')
    return fail('access/forbidden')
  }, plenty)
  await assert.rejects(
    refusal,
    (error) => error instanceof GatewayError && error.code === 'access/forbidden',
  )
  const mistake = store.transaction(async (tx) => {
    await tx.query('INSERT INTO t VALUES (3)')
    throw new TypeError('a bug')
  }, plenty)
  await assert.rejects(mistake, TypeError, 'a mistake is not hidden as an outage')
  const clash = store.transaction(async (tx) => {
    await tx.query('INSERT INTO t VALUES (4)')
    await tx.query('INSERT INTO t VALUES (1)')
  }, plenty)
  await assert.rejects(clash, unavailable)
  const { rows } = await store.query('SELECT n FROM t', [], plenty)
  assert.deepEqual(rows, [{ n: 1 }])
})

test('store: a transaction that ignores a failed statement does not pass for committed', async (t) => {
  const { store } = await setUp(t)
  await store.query('CREATE TABLE t (n int)', [], plenty)
  const careless = store.transaction(async (tx) => {
    await tx.query('INSERT INTO t VALUES (1)')
    await tx.query('SELECT 1 / 0').catch(() => {})
  }, plenty)
  await assert.rejects(careless, unavailable)
  assert.equal((await store.query('SELECT n FROM t', [], plenty)).count, 0)
})

test('store: a transaction that has ended takes no more statements', async (t) => {
  const { store } = await setUp(t)
  const leaked = await store.transaction(
    (tx) => Promise.resolve(() => tx.query('SELECT 1')),
    plenty,
  )
  await assert.rejects(leaked(), /has ended/)
})

test('store: a failed statement is unavailable with the driver’s error as cause, and the connection goes on', async (t) => {
  const { store } = await setUp(t, { max: 1 })
  const pid = async () => (await store.query('SELECT pg_backend_pid() AS pid', [], plenty)).rows[0]
  const before = await pid()
  const refusal: unknown = await store
    .query('SELECT * FROM missing', [], plenty)
    .catch((error) => error)
  assert.ok(unavailable(refusal))
  assert.match(String(refusal.cause), /relation "missing" does not exist/)
  assert.match(refusal.detail ?? '', /missing/)
  assert.equal(refusal.message, 'store unavailable', 'a client reads no detail')
  assert.deepEqual(await pid(), before)
})

test('store: pool exhaustion costs a waiter its own deadline', async (t) => {
  const { store, database } = await setUp(t, { max: 2 })
  const release = Promise.withResolvers<void>()
  const busy = [1, 2].map(() => store.transaction(() => release.promise, plenty))
  await until(async () => (await backends(database, 'idle in transaction')) === 2)
  const startedAt = performance.now()
  await assert.rejects(store.query('SELECT 1', [], { timeoutMs: 200 }), unavailable)
  assert.ok(performance.now() - startedAt < 5000)
  const waiting = store.query('SELECT 1', [], plenty)
  release.resolve()
  await Promise.all(busy)
  assert.equal((await waiting).count, 1)
})

test('store: a hundred calls on five connections are all served by at most five backends', async (t) => {
  const { store, database } = await setUp(t)
  const calls = Array.from({ length: 100 }, () =>
    store.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', [], plenty),
  )
  const pids = new Set((await Promise.all(calls)).map(({ rows }) => rows[0]?.pid))
  assert.ok(pids.size <= 5, `${pids.size} backends`)
  assert.ok((await backends(database, 'idle')) <= 5)
})

test('store: a statement that outlives its deadline is cancelled on the server', async (t) => {
  const { store, database } = await setUp(t, { max: 1 })
  const slow: unknown = await store
    .query('SELECT pg_sleep(60)', [], { timeoutMs: 300 })
    .catch((error) => error)
  assert.ok(unavailable(slow))
  assert.ok(slow.cause instanceof DeadlineExceeded)
  await until(async () => (await backends(database, 'active')) === 0)
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: a transaction that outlives its deadline gives its locks back', async (t) => {
  const { store } = await setUp(t)
  await store.query('CREATE TABLE t AS SELECT 0 AS n', [], plenty)
  const stuck = store.transaction(
    async (tx) => {
      await tx.query('UPDATE t SET n = 1')
      await new Promise(() => {})
    },
    { timeoutMs: 300 },
  )
  await assert.rejects(stuck, unavailable)
  await store.query('UPDATE t SET n = 2', [], plenty)
  assert.deepEqual((await store.query('SELECT n FROM t', [], plenty)).rows, [{ n: 2 }])
})

test('store: a refused port fails fast, and calls work at once when it is back', async (t) => {
  const { store, proxy } = await setUp(t)
  await store.query('SELECT 1', [], plenty)
  await proxy.refuse()
  for (let call = 0; call < 10; call++) {
    await assert.rejects(store.query('SELECT 1', [], plenty), unavailable)
  }
  await proxy.forward()
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: a Postgres that hangs costs each call its deadline, and nothing once it is back', async (t) => {
  const { store, proxy } = await setUp(t)
  await Promise.all(Array.from({ length: 5 }, () => store.query('SELECT 1', [], plenty)))
  proxy.hang()
  const startedAt = performance.now()
  const calls = Array.from({ length: 20 }, () =>
    assert.rejects(store.query('SELECT 1', [], { timeoutMs: 500 }), unavailable),
  )
  await Promise.all(calls)
  assert.ok(performance.now() - startedAt < 5000)
  await assert.rejects(
    store.transaction(() => Promise.resolve(), { timeoutMs: 200 }),
    unavailable,
  )
  await proxy.forward()
  // The first call after the outage works, whatever the hung connections did.
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: connections that die silently while idle cost one call, not one each', async (t) => {
  const { store, proxy } = await setUp(t)
  await Promise.all(
    Array.from({ length: 5 }, () => store.query('SELECT pg_sleep(0.05)', [], plenty)),
  )
  assert.equal(proxy.connections, 5)
  proxy.forget()
  await assert.rejects(store.query('SELECT 1', [], { timeoutMs: 200 }), unavailable)
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: connections cut while idle do not end the process, and the next call works', async (t) => {
  const { store, proxy } = await setUp(t)
  await Promise.all(
    Array.from({ length: 5 }, () => store.query('SELECT pg_sleep(0.05)', [], plenty)),
  )
  proxy.cut()
  assert.ok(await eventually(() => proxy.connections === 0))
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: a connection cut during a statement fails that call alone', async (t) => {
  const { store, proxy } = await setUp(t)
  const running = assert.rejects(store.query('SELECT pg_sleep(60)', [], plenty), unavailable)
  assert.ok(await eventually(() => proxy.connections === 1))
  await new Promise((resolve) => setTimeout(resolve, 100))
  proxy.cut()
  await running
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: a restarted server is used at once', async (t) => {
  const server = await startServer(t)
  const store = openStore(t, server.url)
  await Promise.all(Array.from({ length: 5 }, () => store.query('SELECT 1', [], plenty)))
  await server.restart()
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: a server whose processes are all halted is a hang like any other', async (t) => {
  const server = await startServer(t)
  const store = openStore(t, server.url)
  await store.query('SELECT 1', [], plenty)
  server.hang()
  await assert.rejects(store.query('SELECT 1', [], { timeoutMs: 300 }), unavailable)
  await assert.rejects(store.query('SELECT 1', [], { timeoutMs: 300 }), unavailable)
  assert.equal(await store.answers(300), false)
  server.resume()
  assert.equal((await store.query('SELECT 1', [], plenty)).count, 1)
})

test('store: answers tells whether Postgres is there, and never throws', async (t) => {
  const { store, proxy } = await setUp(t)
  assert.equal(await store.answers(5000), true)
  await proxy.refuse()
  assert.equal(await store.answers(5000), false)
  await proxy.forward()
  assert.equal(await store.answers(5000), true)
  proxy.hang()
  assert.equal(await store.answers(200), false)
})

test('store: with every connection busy and answering the database still counts as there', async (t) => {
  const { store } = await setUp(t, { max: 1 })
  // A busy machine takes its time to open one, which is not what is asked here.
  await store.query('SELECT 1', [], plenty)
  let over = false
  const load = [1, 2, 3, 4, 5, 6].map(async () => {
    while (!over) await store.query('SELECT pg_sleep(0.1)', [], plenty)
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  // Shorter than the queue before it.
  assert.equal(await store.answers(300), true)
  over = true
  await Promise.all(load)
})

test('store: after close every call is refused', async (t) => {
  const { store } = await setUp(t)
  await store.query('SELECT 1', [], plenty)
  await store.close()
  await assert.rejects(store.query('SELECT 1', [], plenty), unavailable)
  assert.equal(await store.answers(100), false)
})

async function eventually(condition: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 500; turn++) {
    if (condition()) return true
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}
