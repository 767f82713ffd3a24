import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReadiness } from '../../lib/store/readiness.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { openStore } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import type { Store } from '../../lib/store/store.ts'

/** A store that is there or not, as told, and counts how often it was asked. */
function setUp(graceSeconds: number) {
  const clock = createFakeClock()
  const state = { there: true, asked: 0 }
  const unused = (): never => assert.fail('only answers is asked')
  const store: Store = {
    query: unused,
    transaction: unused,
    close: unused,
    connections: () => ({ open: 0, idle: 0, waiting: 0, max: 0 }),
    answers: () => {
      state.asked++
      return Promise.resolve(state.there)
    },
  }
  return { clock, state, readiness: createReadiness(store, { graceSeconds, clock }) }
}

test('readiness: a database that answers is ready, one that does not is named', async () => {
  const { state, readiness } = setUp(0)
  assert.equal(await readiness(), null)
  state.there = false
  assert.equal(await readiness(), 'store unavailable')
  state.there = true
  assert.equal(await readiness(), null)
})

test('readiness: within the grace a silent database still counts as ready', async () => {
  const { clock, state, readiness } = setUp(4)
  assert.equal(await readiness(), null)
  state.there = false
  await clock.advance(60_000)
  assert.equal(await readiness(), null, 'the first probe that notices starts the grace')
  await clock.advance(3999)
  assert.equal(await readiness(), null)
  await clock.advance(1)
  assert.equal(await readiness(), 'store unavailable')
})

test('readiness: an answer in between starts the grace anew', async () => {
  const { clock, state, readiness } = setUp(4)
  state.there = false
  await readiness()
  await clock.advance(3000)
  state.there = true
  assert.equal(await readiness(), null)
  state.there = false
  await readiness()
  await clock.advance(3000)
  assert.equal(await readiness(), null)
  await clock.advance(1000)
  assert.equal(await readiness(), 'store unavailable')
})

test('readiness: probes at the same time ask the database once', async () => {
  const { state, readiness } = setUp(0)
  const answers = await Promise.all(Array.from({ length: 50 }, () => readiness()))
  assert.equal(state.asked, 1)
  assert.ok(answers.every((answer) => answer === null))
})

test('readiness: a Postgres that hangs is not ready after two seconds, and ready when it is back', async (t) => {
  const { url } = await createDatabase(t)
  const proxy = await startTcpProxy(t, { host: '127.0.0.1', port: Number(new URL(url).port) })
  const store = openStore(t, proxy.through(url))
  const readiness = createReadiness(store, { graceSeconds: 0, clock: systemClock })
  assert.equal(await readiness(), null)
  proxy.hang()
  const startedAt = performance.now()
  assert.equal(await readiness(), 'store unavailable')
  const tookMs = performance.now() - startedAt
  assert.ok(tookMs > 1900 && tookMs < 4000, `${tookMs} ms`)
  await proxy.forward()
  assert.equal(await readiness(), null)
  await proxy.refuse()
  assert.equal(await readiness(), 'store unavailable')
})
