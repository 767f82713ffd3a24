import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, createConnections } from '../../lib/egress/connections.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { listen } from '../support/listen.ts'

interface Server {
  readonly origin: string
  /** Every connection, in the order they came. */
  readonly sockets: readonly Socket[]
}

/** Answers every request at once and keeps the connection. */
async function serve(t: TestContext): Promise<Server> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  })
  const port = await listen(server)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { origin: `http://127.0.0.1:${port}`, sockets }
}

/** One exchange; rejects with its failure. */
function exchange({ client }: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    client.dispatch(
      { path: '/', method: 'GET' },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    )
  })
}

test('connections: one that is given back is used again, the last one first', async (t) => {
  const { origin, sockets } = await serve(t)
  const connections = createConnections(systemClock, 60_000, {})
  const [first, second] = [connections.take(origin), connections.take(origin)]
  assert.notEqual(first, second)
  await Promise.all([exchange(first), exchange(second)])
  connections.giveBack(first, true)
  connections.giveBack(second, true)
  assert.equal(connections.take(origin), second)
  assert.equal(connections.take(origin), first)
  await Promise.all([exchange(first), exchange(second)])
  assert.equal(sockets.length, 2)
  await connections.destroy()
})

test('connections: those of one origin are not given to another', async (t) => {
  const [one, other] = [await serve(t), await serve(t)]
  const connections = createConnections(systemClock, 60_000, {})
  const connection = connections.take(one.origin)
  await exchange(connection)
  connections.giveBack(connection, true)
  assert.notEqual(connections.take(other.origin), connection)
  assert.equal(connections.take(one.origin), connection)
  await connections.destroy()
})

test('connections: one that the server closed while it was free is not used again', async (t) => {
  const { origin, sockets } = await serve(t)
  const connections = createConnections(systemClock, 60_000, {})
  const connection = connections.take(origin)
  await exchange(connection)
  connections.giveBack(connection, true)
  sockets[0]?.destroy()
  while (!connection.client.destroyed) await sleep(1)
  const next = connections.take(origin)
  assert.notEqual(next, connection)
  await exchange(next)
  await connections.destroy()
})

test('connections: one that failed an exchange is closed', async (t) => {
  const { origin, sockets } = await serve(t)
  const connections = createConnections(systemClock, 60_000, {})
  const connection = connections.take(origin)
  await exchange(connection)
  connections.giveBack(connection, false)
  const [socket] = sockets
  assert.ok(socket !== undefined)
  await once(socket, 'close')
  assert.notEqual(connections.take(origin), connection)
  await connections.destroy()
})

test('connections: an old one is closed when its turn comes, for its name may have moved', async (t) => {
  const { origin, sockets } = await serve(t)
  const clock = createFakeClock()
  const connections = createConnections(clock, 60_000, {})
  const connection = connections.take(origin)
  await exchange(connection)
  connections.giveBack(connection, true)
  await clock.advance(59_999)
  assert.equal(connections.take(origin), connection)
  connections.giveBack(connection, true)
  await clock.advance(1)
  assert.notEqual(connections.take(origin), connection)
  const [socket] = sockets
  assert.ok(socket !== undefined)
  await once(socket, 'close')
  await connections.destroy()
})

test('connections: destroyed, they fail what is open and what comes later', async (t) => {
  const { origin, sockets } = await serve(t)
  const connections = createConnections(systemClock, 60_000, {})
  const open = connections.take(origin)
  await exchange(open)
  await connections.destroy()
  await assert.rejects(exchange(open), /destroyed/)
  await assert.rejects(exchange(connections.take(origin)), /destroyed/)
  connections.giveBack(open, true)
  assert.notEqual(connections.take(origin), open)
  assert.equal(sockets.length, 1)
})
