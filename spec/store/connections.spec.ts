import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import type { Connection } from '../../lib/store/connection.ts'
import { Connections } from '../../lib/store/connections.ts'
import { createDeadline, type Deadline } from '../../lib/store/deadline.ts'
import { createFakeClock } from '../support/fake-clock.ts'

/** Connections to nowhere, opened when the spec says so: what is tested is who gets which. */
function setUp(max: number) {
  const clock = createFakeClock()
  const opening: { succeed(): FakeConnection; fail(): void }[] = []
  let opened = 0
  const connections = new Connections({
    max,
    clock,
    open: () =>
      new Promise((resolve, reject) => {
        opening.push({
          succeed() {
            const connection = createFakeConnection(++opened)
            resolve(connection)
            return connection
          },
          fail: () => reject(new Error('connection refused')),
        })
      }),
  })
  const deadline = (timeoutMs = 1000): Deadline => createDeadline(clock, timeoutMs, 'the call')
  const borrow = async (): Promise<FakeConnection> => {
    const acquired = connections.acquire(deadline())
    const next = opening.shift()
    const made = next?.succeed()
    const connection = await acquired
    return made ?? asFake(connection)
  }
  return { clock, opening, connections, deadline, borrow }
}

interface FakeConnection extends Connection {
  readonly number: number
  state: 'open' | 'ended' | 'destroyed'
}

const fakes = new WeakMap<Connection, FakeConnection>()

function createFakeConnection(number: number): FakeConnection {
  const client = new pg.Client({ host: '127.0.0.1' })
  const connection: FakeConnection = {
    number,
    state: 'open',
    client,
    usable: () => connection.state === 'open',
    destroy: () => (connection.state = 'destroyed'),
  }
  client.end = () => Promise.resolve(void (connection.state = 'ended'))
  fakes.set(connection, connection)
  return connection
}

function asFake(connection: Connection): FakeConnection {
  const fake = fakes.get(connection)
  assert.ok(fake)
  return fake
}

test('store connections: one that was returned is lent again', async () => {
  const { connections, borrow, opening } = setUp(5)
  const first = await borrow()
  connections.release(first)
  assert.equal(await borrow(), first)
  assert.equal(opening.length, 0)
})

test('store connections: no more than the maximum exist, the longest waiter comes first', async () => {
  const { connections, borrow, deadline, opening } = setUp(2)
  const [a, b] = [await borrow(), await borrow()]
  const order: string[] = []
  const first = connections.acquire(deadline()).then((c) => (order.push('first'), c))
  const second = connections.acquire(deadline()).then((c) => (order.push('second'), c))
  assert.equal(opening.length, 0)
  connections.release(b)
  assert.equal(await first, b)
  connections.release(a)
  assert.equal(await second, a)
  assert.deepEqual(order, ['first', 'second'])
})

test('store connections: a waiter whose deadline strikes leaves the queue', async () => {
  const { clock, connections, borrow, deadline } = setUp(1)
  const only = await borrow()
  const late = assert.rejects(connections.acquire(deadline(100)), DeadlineExceeded)
  const patient = connections.acquire(deadline(5000))
  await clock.advance(100)
  await late
  connections.release(only)
  assert.equal(await patient, only)
})

test('store connections: one opened too late for its caller serves the next', async () => {
  const { clock, connections, deadline, opening } = setUp(1)
  const late = assert.rejects(connections.acquire(deadline(100)), DeadlineExceeded)
  const next = connections.acquire(deadline(5000))
  await clock.advance(100)
  await late
  const opened = opening.shift()?.succeed()
  assert.equal(await next, opened)
  assert.equal(opening.length, 0)
})

test('store connections: a failed attempt reaches its caller and frees the place', async () => {
  const { connections, deadline, opening } = setUp(1)
  const first = assert.rejects(connections.acquire(deadline()), /connection refused/)
  const second = connections.acquire(deadline())
  opening.shift()?.fail()
  await first
  await Promise.resolve()
  const opened = opening.shift()?.succeed()
  assert.equal(await second, opened)
})

test('store connections: one that failed takes the idle ones along', async () => {
  const { connections, borrow, deadline, opening } = setUp(3)
  const [a, b, c] = [await borrow(), await borrow(), await borrow()]
  connections.release(a)
  connections.release(b)
  connections.discard(c)
  assert.deepEqual([a.state, b.state, c.state], ['destroyed', 'destroyed', 'destroyed'])
  // All three places are free again.
  const next = Promise.all([1, 2, 3].map(() => connections.acquire(deadline())))
  assert.equal(opening.length, 3)
  for (const attempt of opening.splice(0)) attempt.succeed()
  assert.equal((await next).length, 3)
})

test('store connections: discarding one serves a waiter with a new one', async () => {
  const { connections, borrow, deadline, opening } = setUp(1)
  const broken = await borrow()
  const waiting = connections.acquire(deadline())
  connections.discard(broken)
  const opened = opening.shift()?.succeed()
  assert.equal(await waiting, opened)
})

test('store connections: one that broke while idle or lent is not lent again', async () => {
  const { connections, borrow } = setUp(2)
  const [idle, lent] = [await borrow(), await borrow()]
  connections.release(idle)
  idle.state = 'ended'
  lent.state = 'ended'
  connections.release(lent)
  const next = await borrow()
  assert.equal(next.number, 3)
  assert.deepEqual([idle.state, lent.state], ['destroyed', 'destroyed'])
})

test('store connections: idle ones end after a minute, busy ones stay', async () => {
  const { clock, connections, borrow } = setUp(3)
  const [a, b, busy] = [await borrow(), await borrow(), await borrow()]
  connections.release(a)
  await clock.advance(50_000)
  connections.release(b)
  await clock.advance(41_000)
  assert.deepEqual([a.state, b.state, busy.state], ['destroyed', 'open', 'open'])
  await clock.advance(60_000)
  assert.deepEqual([b.state, busy.state], ['destroyed', 'open'])
})

test('store connections: an old one is replaced, so that a failover is noticed', async () => {
  const { clock, connections, borrow } = setUp(1)
  const old = await borrow()
  await clock.advance(31 * 60_000)
  connections.release(old)
  assert.equal(old.state, 'ended')
  const next = await borrow()
  assert.equal(next.number, 2)
})

test('store connections: more than a thousand waiters are turned away', async () => {
  const { clock, connections, borrow, deadline } = setUp(1)
  await borrow()
  const waiting = Array.from({ length: 1000 }, () =>
    assert.rejects(connections.acquire(deadline(1000)), DeadlineExceeded),
  )
  await assert.rejects(connections.acquire(deadline()), /1000 calls wait/)
  await clock.advance(1000)
  await Promise.all(waiting)
})

test('store connections: closing ends idle ones, turns waiters away and ends lent ones on return', async () => {
  const { connections, borrow, deadline } = setUp(2)
  const [idle, lent] = [await borrow(), await borrow()]
  const waiting = assert.rejects(connections.acquire(deadline()), /closed/)
  connections.discard(idle)
  const waiting2 = assert.rejects(connections.acquire(deadline()), /closed/)
  connections.close()
  await Promise.all([waiting, waiting2].slice(1))
  connections.release(lent)
  assert.equal(lent.state, 'ended')
  await assert.rejects(connections.acquire(deadline()), /closed/)
})
