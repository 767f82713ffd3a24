import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectAtBoot } from '../../lib/store/connect.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore, targetOf } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { createStore } from '../../lib/store/pool.ts'
import type { Store } from '../../lib/store/store.ts'

/** The boot's pauses pass at once; what Postgres does is real. */
function setUp(t: TestContext, url: string, store: Store = openStore(t, url)) {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const abort = new AbortController()
  const booting = connectAtBoot({
    store,
    target: targetOf(url),
    connectTimeoutMs: 5000,
    clock,
    log,
    signal: abort.signal,
  })
  let settled = false
  const done = booting.finally(() => (settled = true))
  done.catch(() => {})
  /** Moves time until the boot has come to an end, or has written so many lines. */
  const pass = async (untilLines = Number.POSITIVE_INFINITY): Promise<void> => {
    while (!settled && lines.length < untilLines) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (lines.length < untilLines) await clock.advance(100)
    }
  }
  return { clock, lines, abort, done, pass }
}

async function proxied(t: TestContext) {
  const { url } = await createDatabase(t)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port: Number(new URL(url).port) })
  return { proxy, url: proxy.through(url) }
}

test('boot connect: a Postgres that answers is taken without a word', async (t) => {
  const { url } = await createDatabase(t)
  const { done, lines } = setUp(t, url)
  await done
  assert.deepEqual(lines, [])
})

test('boot connect: three attempts two seconds apart, then a line that says where', async (t) => {
  const { proxy, url } = await proxied(t)
  await proxy.refuse()
  const { clock, done, lines, pass } = setUp(t, url)
  const before = clock.now()
  await pass()
  await assert.rejects(done, (error) => {
    assert.ok(error instanceof Error)
    const { port, pathname, password } = new URL(url)
    assert.match(error.message, /^could not connect to Postgres: .*ECONNREFUSED/)
    assert.ok(
      error.message.includes(
        `(host 127.0.0.1, port ${port}, database "${pathname.slice(1)}", sslmode prefer)`,
      ),
      error.message,
    )
    assert.match(error.message, /store\.postgres_url and store\.connect_timeout_seconds/)
    assert.ok(password.length > 0 && !error.message.includes(password))
    return true
  })
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /^warn .*attempt 1 of 3: .*ECONNREFUSED.*; next in 2 s$/)
  assert.match(lines[1] ?? '', /^warn .*attempt 2 of 3/)
  assert.ok(clock.now() - before >= 4000)
})

test('boot connect: a Postgres that appears between two attempts is taken', async (t) => {
  const { proxy, url } = await proxied(t)
  await proxy.refuse()
  const { done, lines, pass } = setUp(t, url)
  await pass(1)
  await proxy.forward()
  await pass()
  await done
  assert.equal(lines.length, 1)
})

test('boot connect: a wrong database, role or password ends it at once', async (t) => {
  const { url } = await createDatabase(t)
  const cases: [(at: URL) => void, RegExp][] = [
    [(at) => (at.pathname = '/nodb'), /database "nodb" does not exist .*database "nodb"/],
    [(at) => (at.username = 'nouser'), /"nouser"/],
    [(at) => (at.password = 'wr0ng'), /password authentication failed/],
    [(at) => at.searchParams.set('no_such_setting', '1'), /no_such_setting/],
  ]
  for (const [change, expected] of cases) {
    const wrong = new URL(url)
    change(wrong)
    const { done, lines, pass } = setUp(t, wrong.href)
    await pass()
    await assert.rejects(done, (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, expected)
      assert.doesNotMatch(error.message, /wr0ng/)
      return true
    })
    assert.deepEqual(lines, [])
  }
})

test('boot connect: a Postgres that accepts and hangs costs each attempt its timeout', async (t) => {
  const { proxy, url } = await proxied(t)
  proxy.hang()
  const store = openStore(t, url, { connectTimeoutMs: 100 })
  const { done, lines, pass } = setUp(t, url, store)
  await pass()
  await assert.rejects(done, /timed out after 100 ms/)
  assert.equal(lines.length, 2)
})

test('boot connect: a signal to stop ends the pause', async (t) => {
  const { proxy, url } = await proxied(t)
  await proxy.refuse()
  const { abort, done, pass } = setUp(t, url)
  await pass(1)
  abort.abort(new Error('told to stop'))
  await assert.rejects(done, /told to stop/)
})

test('boot connect: a server older than 11 is refused, 11 is welcome', async (t) => {
  const server = await startServer(t, { major: 11 })
  const { done } = setUp(t, server.url)
  await done

  const real = openStore(t, server.url)
  const old: Store = {
    ...createStore({ max: 1, clock: createFakeClock(), open: () => Promise.reject(new Error()) }),
    query: (text, values, options) =>
      real.query(text.replace(/current_setting\([^)]*\)/, `'100023'`), values, options),
  }
  await assert.rejects(
    setUp(t, server.url, old).done,
    /PostgreSQL 11 or newer is needed, this is 10/,
  )
})
