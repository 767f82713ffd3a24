import assert from 'node:assert/strict'
import { test } from 'node:test'
import { text } from '../../lib/http/reply.ts'
import {
  eventually,
  get,
  open,
  openRoute,
  parseReply,
  request,
  withGateway,
} from './gateway-under-test.ts'

test('server: it counts the requests whose reply is not out', async () => {
  const releases: (() => void)[] = []
  const held = openRoute('/held', async () => {
    await new Promise<void>((resolve) => releases.push(resolve))
    return text(200, 'held')
  })
  await withGateway({ routes: [held] }, async ({ port, server }) => {
    assert.equal(server.openRequests, 0)
    const wires = await Promise.all([open(port), open(port), open(port)])
    for (const wire of wires) wire.socket.write(request('GET', '/held'))
    await eventually(() => server.openRequests === 3, 'three are open')
    releases.forEach((release) => release())
    await Promise.all(wires.map((wire) => wire.until('held')))
    await eventually(() => server.openRequests === 0, 'none is open')
    for (const wire of wires) wire.socket.destroy()
  })
})

test('server: a thousand connections at once are all served', async () => {
  await withGateway({}, async ({ port }) => {
    const wires = await Promise.all(Array.from({ length: 1000 }, () => open(port)))
    for (const wire of wires) wire.socket.write(request('GET', '/healthz'))
    await Promise.all(wires.map((wire) => wire.until('\r\n\r\nok')))
    for (const wire of wires) wire.socket.destroy()
  })
})

test('server: clients that connect and reset leave nothing behind', async () => {
  await withGateway({}, async ({ port, server }) => {
    for (let round = 0; round < 50; round++) {
      const wire = await open(port)
      if (round % 2 === 0) wire.socket.write(request('GET', '/readyz'))
      wire.socket.resetAndDestroy()
    }
    await eventually(() => server.openRequests === 0, 'none is open')
    assert.equal(parseReply(await get(port, '/healthz')).body, 'ok')
  })
})
