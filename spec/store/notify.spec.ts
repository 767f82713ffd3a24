import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createConnector } from '../../lib/store/connection.ts'
import { createHints, sendHint } from '../../lib/store/notify.ts'
import type { Queryable } from '../../lib/store/store.ts'
import { createDatabase, startServer, type TestDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore, plenty, targetOf } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

/** A listening replica; `gaps` counts its connects. */
function listen(t: TestContext, url: string) {
  const connector = createConnector({
    target: targetOf(url),
    connectTimeoutMs: 500,
    hasExtraCa: false,
    clock: systemClock,
  })
  const recorder = createRecorder()
  const hints = createHints({
    settings: connector.settings,
    connectTimeoutMs: 500,
    clock: systemClock,
    log: recorder.log,
  })
  const heard: string[] = []
  const state = { gaps: 0 }
  hints.on('cap', (detail) => heard.push(detail))
  hints.onGap(() => state.gaps++)
  hints.start()
  t.after(() => hints.close())
  return { hints, heard, state, lines: recorder.lines }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1500; turn++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail('it did not happen within 15 s')
}

/** `settings` reads what the pool learned; without a pool the spec says it. */
const plain = (url: string): string => `${url}?sslmode=disable`

function senderOn(t: TestContext, database: Pick<TestDatabase, 'url'>): Queryable {
  const store = openStore(t, plain(database.url))
  return { query: (text, values = []) => store.query(text, values, plenty) }
}

test('hints: what one replica says all others hear, topic by topic', async (t) => {
  const database = await createDatabase(t)
  const [a, b] = [listen(t, plain(database.url)), listen(t, plain(database.url))]
  await until(() => a.state.gaps === 1 && b.state.gaps === 1)
  const sender = senderOn(t, database)
  await sendHint(sender, 'other', 'not for them')
  await sendHint(sender, 'cap', 'spl_1')
  await sendHint(sender, 'cap', `it's "quoted"`)
  await until(() => a.heard.length === 2 && b.heard.length === 2)
  assert.deepEqual(a.heard, ['spl_1', `it's "quoted"`])
})

test('hints: one sent in a transaction is heard only once that is committed', async (t) => {
  const database = await createDatabase(t)
  const { heard, state } = listen(t, plain(database.url))
  await until(() => state.gaps === 1)
  const store = openStore(t, plain(database.url))
  await assert.rejects(
    store.transaction(async (tx) => {
      await sendHint(tx, 'cap', 'undone')
      throw new Error('no')
    }, plenty),
    /no/,
  )
  await store.transaction((tx) => sendHint(tx, 'cap', 'done'), plenty)
  await until(() => heard.length > 0)
  assert.deepEqual(heard, ['done'])
})

test('hints: notifications of others on the channel are passed over', async (t) => {
  const database = await createDatabase(t)
  const { heard, state, lines } = listen(t, plain(database.url))
  await until(() => state.gaps === 1)
  for (const payload of ['', 'no json', '{"a":1}', '["cap"]', '[1,2]', 'null']) {
    await database.query('SELECT pg_notify($1, $2)', ['apps_gateway', payload])
  }
  await sendHint(senderOn(t, database), 'cap', 'ours')
  await until(() => heard.length > 0)
  assert.deepEqual(heard, ['ours'])
  assert.ok(lines.every((line) => line.startsWith('debug ')))
})

test('hints: a detail too long for a notification is refused', async (t) => {
  const database = await createDatabase(t)
  await assert.rejects(sendHint(senderOn(t, database), 'cap', 'x'.repeat(2001)), /too long/)
})

test('hints: after a cut connection they are heard again, and the gap is told', async (t) => {
  const database = await createDatabase(t)
  const port = Number(new URL(database.url).port)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port })
  const { heard, state } = listen(t, plain(proxy.through(database.url)))
  await until(() => state.gaps === 1)
  proxy.cut()
  await until(() => state.gaps === 2)
  await sendHint(senderOn(t, database), 'cap', 'again')
  await until(() => heard.length > 0)
  assert.deepEqual(heard, ['again'])
})

test('hints: an outage at the start and a longer one later are both survived', async (t) => {
  const database = await createDatabase(t)
  const port = Number(new URL(database.url).port)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port })
  await proxy.refuse()
  const { heard, state, lines } = listen(t, plain(proxy.through(database.url)))
  await until(() => lines.some((line) => line.includes('not heard')))
  await proxy.forward()
  await until(() => state.gaps === 1)
  await proxy.refuse()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await proxy.forward()
  await until(() => state.gaps === 2)
  await sendHint(senderOn(t, database), 'cap', 'back')
  await until(() => heard.length > 0)
})

test('hints: a restarted server is listened to again', async (t) => {
  const server = await startServer(t)
  const { heard, state } = listen(t, plain(server.url))
  await until(() => state.gaps === 1)
  await server.restart()
  await until(() => state.gaps === 2)
  await sendHint(senderOn(t, server), 'cap', 'new server')
  await until(() => heard.length > 0)
})

test('hints: closing ends the listener in the middle of an outage too', async (t) => {
  const database = await createDatabase(t)
  const port = Number(new URL(database.url).port)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port })
  const { hints, state } = listen(t, plain(proxy.through(database.url)))
  await until(() => state.gaps === 1)
  proxy.hang()
  hints.close()
  await until(() => proxy.connections === 0 || state.gaps === 1)
  await proxy.forward()
  await until(() => proxy.connections === 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(proxy.connections, 0)
  assert.equal(state.gaps, 1)
})
