import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createConnections } from '../../lib/http/connection.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { eventually } from './gateway-under-test.ts'
import { makeServedExchange } from './served-exchange-parts.ts'

/** Both ends of a real TCP connection; `accepted` is the gateway's. */
async function withPair(body: (accepted: Socket, client: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const client = connect(address.port, '127.0.0.1').on('error', () => {})
  const [accepted] = await once(server, 'connection')
  accepted.on('error', () => {}).resume()
  try {
    await body(accepted, client)
  } finally {
    client.destroy()
    accepted.destroy()
    server.close()
  }
}

test('connection: one per socket, with the address of its peer', async () => {
  await withPair(async (accepted) => {
    const connections = createConnections()
    const connection = connections.of(accepted)
    assert.equal(connection.peer, '127.0.0.1')
    assert.equal(connections.of(accepted), connection)
  })
})

for (const way of ['destroy', 'end', 'resetAndDestroy'] as const) {
  test(`connection: every exchange that waits on it learns of a client’s ${way}`, async () => {
    await withPair(async (accepted, client) => {
      const connection = createConnections().of(accepted)
      const waiting = [makeServedExchange(), makeServedExchange()]
      const answered = makeServedExchange()
      for (const exchange of [...waiting, answered]) connection.open.push(exchange)
      connection.open.pop()
      client[way]()
      await eventually(() => waiting.every(({ gone }) => gone instanceof ClientGone), 'both know')
      assert.equal(answered.gone, null)
      await eventually(() => accepted.destroyed, 'the connection is not kept')
    })
  })
}

test('connection: idle ones can be ended, waiting ones are left alone', async () => {
  await withPair(async (idle, idleClient) => {
    await withPair(async (busy, busyClient) => {
      const connections = createConnections()
      connections.of(idle)
      connections.of(busy).open.push(makeServedExchange())
      idleClient.resume()
      connections.endIdle()
      await once(idleClient, 'close')
      assert.equal(busy.destroyed, false)
      assert.equal(busyClient.destroyed, false)
    })
  })
})

test('connection: of a socket that is closed already nothing is kept', async () => {
  await withPair(async (accepted, client) => {
    client.destroy()
    accepted.destroy()
    await once(accepted, 'close')
    const connections = createConnections()
    assert.equal(connections.of(accepted).peer, 'unknown')
    assert.notEqual(connections.of(accepted), connections.of(accepted))
  })
})
