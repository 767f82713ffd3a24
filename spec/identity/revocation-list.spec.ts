import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  createRevocationList,
  noRevocations,
  type RevocationList,
} from '../../lib/identity/revocation-list.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { openDatabase } from '../../lib/store/database.ts'
import type { Store } from '../../lib/store/store.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { createRecorder, type Recorder } from '../support/recorder.ts'

const database = await createDatabase({ after })
const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600

function open() {
  const opened = openDatabase(
    {
      postgres_url: database.url,
      max_connections: 3,
      connect_timeout_seconds: 5,
      readiness_grace_seconds: 0,
    },
    { clock: systemClock, log: createRecorder().log },
  )
  after(() => opened.close())
  return opened
}
const main = open()
await main.start(new AbortController().signal)

interface Replica {
  readonly list: RevocationList
  readonly clock: FakeClock
  readonly recorder: Recorder
  changes: number
}

interface Setting {
  readonly listens?: boolean
  readonly store?: Store
  readonly entriesMax?: number
}

/** A replica of its own, deaf to notifications unless it listens. */
function replica({ listens = false, store, entriesMax }: Setting = {}): Replica {
  const clock = createFakeClock(Date.now())
  const recorder = createRecorder()
  const { hints, store: own } = listens ? open() : main
  if (listens) hints.start()
  const made: Replica = {
    clock,
    recorder,
    changes: 0,
    list: createRevocationList(
      { store: store ?? own, hints, clock, log: recorder.log },
      () => made.changes++,
      entriesMax,
    ),
  }
  after(() => made.list.stop())
  return made
}

async function eventually(condition: () => boolean): Promise<void> {
  const until = Date.now() + 10_000
  while (!condition()) {
    assert.ok(Date.now() < until, 'waited ten seconds in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('revocation list: a revoked session is on it at once, others are not', async () => {
  const { list } = replica()
  await list.start()
  await list.add('header.claims-1', inAnHour())
  assert.equal(list.has('header.claims-1'), true)
  assert.equal(list.has('header.claims-2'), false)
})

test('revocation list: the row holds a hash and lives as long as the session', async () => {
  const { list } = replica()
  await list.start()
  const expires = inAnHour()
  await list.add('header.secret-claims', expires)
  const rows = await database.query(
    `SELECT key, extract(epoch FROM expires_at)::int AS expires FROM kv WHERE key LIKE 'revoked:%'`,
  )
  assert.ok(rows.some((row) => row['expires'] === expires))
  assert.ok(rows.every(({ key }) => /^revoked:[0-9a-f]{64}$/.test(String(key))))
})

test('revocation list: a replica that starts later knows what was revoked before', async () => {
  const early = replica()
  await early.list.start()
  await early.list.add('header.before', inAnHour())
  const late = replica()
  assert.equal(late.list.active, false)
  await late.list.start()
  assert.equal(late.list.active, true)
  assert.equal(late.list.has('header.before'), true)
})

test('revocation list: another replica hears of it by notification', async () => {
  const [here, there] = [replica({ listens: true }), replica({ listens: true })]
  await Promise.all([here.list.start(), there.list.start()])
  // Subscribing takes a moment; until then polls do the work, and this clock stands still.
  const until = Date.now() + 10_000
  const isHeard = (round: number): boolean => there.list.has(`header.heard-${round}`) === true
  for (let round = 1; !isHeard(1) && !isHeard(round - 1); round++) {
    assert.ok(Date.now() < until, 'waited ten seconds in vain')
    await here.list.add(`header.heard-${round}`, inAnHour())
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.ok(there.changes > 0, 'what was remembered is to be forgotten')
})

test('revocation list: without a notification a poll finds it within a second', async () => {
  const [here, there] = [replica(), replica()]
  await Promise.all([here.list.start(), there.list.start()])
  await here.list.add('header.polled', inAnHour())
  assert.equal(there.list.has('header.polled'), false)
  await there.clock.advance(999)
  await eventually(() => there.list.has('header.polled') === true)
  const { changes } = there
  await there.clock.advance(800)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(there.changes, changes, 'what is known already changes nothing')
})

test('revocation list: an expired session leaves it by itself', async () => {
  const { list, clock } = replica()
  await list.start()
  await list.add('header.short', Math.floor(clock.now() / 1000) + 60)
  await clock.advance(59_000)
  assert.equal(list.has('header.short'), true)
  await clock.advance(2_000)
  assert.equal(list.has('header.short'), false)
})

test('revocation list: a database that fails is never pretended to have heard', async () => {
  const down: Store = {
    ...main.store,
    transaction: () => Promise.reject(new Error('gone')),
    query: () => Promise.reject(new Error('gone')),
  }
  const { list } = replica({ store: down })
  await assert.rejects(list.add('header.lost', inAnHour()), /gone/)
  assert.equal(list.has('header.lost'), false)
  await assert.rejects(list.start(), /gone/)
  assert.equal(list.active, false)
})

test('revocation list: failing polls warn once, keep what is known, and recover', async () => {
  let failing = false
  const flaky: Store = {
    ...main.store,
    query: (text, values, options) =>
      failing ? Promise.reject(new Error('gone')) : main.store.query(text, values, options),
  }
  const { list, clock, recorder } = replica({ store: flaky })
  await list.start()
  await list.add('header.kept', inAnHour())
  failing = true
  for (const round of [1, 2, 3]) {
    await clock.advance(800)
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(recorder.lines.length, 1, `round ${round}`)
  }
  assert.match(recorder.lines[0] ?? '', /^warn revoked sessions cannot be read, still trying/)
  assert.equal(list.has('header.kept'), true)
  failing = false
  await clock.advance(800)
  await eventually(() => recorder.lines.includes('info revoked sessions are read again'))
})

test('revocation list: other rows of the table are nobody’s sessions', async () => {
  await database.query(
    `INSERT INTO kv (key, value, expires_at) VALUES
       ('device:uc:X', 'no number', now() + interval '1 hour'),
       ('revokedx', '{}', now() + interval '1 hour')`,
  )
  await replica().list.start()
})

test('revocation list: beyond what fits into memory the database is asked', async () => {
  await database.query(`DELETE FROM kv WHERE key LIKE 'revoked:%'`)
  const { list, recorder, clock } = replica({ entriesMax: 3 })
  await list.start()
  for (let index = 0; index < 3; index++) await list.add(`header.full-${index}`, inAnHour())
  assert.equal(list.has('header.other'), false, 'all are known: nothing to ask')
  assert.deepEqual(recorder.lines, [])
  await list.add('header.full-3', inAnHour())
  await list.add('header.full-4', inAnHour())
  assert.deepEqual(recorder.lines, [
    'warn more than 3 revoked sessions at once: others are looked up in the database',
  ])
  for (let index = 0; index < 5; index++) {
    assert.equal(await list.has(`header.full-${index}`), true, `session ${index}`)
  }
  assert.equal(await list.has('header.other'), false)

  await database.query(`DELETE FROM kv WHERE key LIKE 'revoked:%'`)
  await clock.advance(3_700_000)
  await eventually(() => list.has('header.other') === false)
})

test('revocation list: a replica that starts with more than fits refuses them all', async () => {
  await database.query(`DELETE FROM kv WHERE key LIKE 'revoked:%'`)
  const early = replica()
  await early.list.start()
  for (let index = 0; index < 5; index++) await early.list.add(`header.late-${index}`, inAnHour())
  const { list } = replica({ entriesMax: 3 })
  await list.start()
  for (let index = 0; index < 5; index++) {
    assert.equal(await list.has(`header.late-${index}`), true, `session ${index}`)
  }
})

test('revocation list: whoever cannot be asked about is not let in', async () => {
  let failing = false
  const flaky: Store = {
    ...main.store,
    query: (text, values, options) =>
      failing ? Promise.reject(new Error('gone')) : main.store.query(text, values, options),
  }
  const { list } = replica({ store: flaky, entriesMax: 1 })
  await list.start()
  await list.add('header.asked-1', inAnHour())
  await list.add('header.asked-2', inAnHour())
  failing = true
  assert.equal(list.has('header.asked-2'), true)
  await assert.rejects(async () => list.has('header.other'), /gone/)
})

test('revocation list: entries that ended make room', async () => {
  await database.query(`DELETE FROM kv WHERE key LIKE 'revoked:%'`)
  const { list, clock } = replica({ entriesMax: 2 })
  await list.start()
  const soon = Math.floor(clock.now() / 1000) + 60
  await list.add('header.room-1', soon)
  await list.add('header.room-2', soon)
  assert.equal(list.size(), 2)
  await clock.advance(61_000)
  await list.add('header.room-3', inAnHour())
  assert.equal(list.size(), 1, 'what ended is not counted')
  assert.equal(list.has('header.room-3'), true)
  assert.equal(list.has('header.other'), false, 'nothing was pushed out')
})

test('revocation list: a gateway without one promises nothing', () => {
  assert.equal(noRevocations.active, false)
  assert.equal(noRevocations.has('x'), false)
  assert.equal(noRevocations.size(), 0)
  assert.throws(() => noRevocations.add('x', 1), { code: 'store/unavailable' })
})
