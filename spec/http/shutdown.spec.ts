import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Exchange } from '../../lib/http/exchange.ts'
import { text } from '../../lib/http/reply.ts'
import { ShuttingDown } from '../../lib/kernel/abort.ts'
import type { Outcome } from '../../lib/stream/tap.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  eventually,
  open,
  openRoute,
  parseReply,
  request,
  withGateway,
} from './gateway-under-test.ts'

/** A route that answers when the spec says so. */
function heldRoute(): {
  readonly route: ReturnType<typeof openRoute>
  readonly release: () => void
  readonly exchange: () => Exchange | undefined
} {
  let release = (): void => {}
  let exchange: Exchange | undefined
  const route = openRoute('/held', async (of) => {
    exchange = of
    await new Promise<void>((resolve) => (release = resolve))
    return text(200, 'held')
  })
  return { route, release: () => release(), exchange: () => exchange }
}

/** A route that streams until the spec closes it. */
function streamingRoute(): {
  readonly route: ReturnType<typeof openRoute>
  readonly close: () => void
  readonly outcomes: Outcome[]
} {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const outcomes: Outcome[] = []
  const route = openRoute('/stream', () => ({
    status: 200,
    headers: [],
    body: new ReadableStream<Uint8Array>({
      start(of) {
        controller = of
        of.enqueue(Buffer.from('first'))
      },
    }),
    taps: [{ name: 'noted', settle: (outcome) => outcomes.push(outcome) }],
  }))
  return { route, close: () => controller?.close(), outcomes }
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

test('shutdown: without connections a drain is over at once', async () => {
  await withGateway({}, async ({ server, port }) => {
    assert.equal(await server.drain(25_000), 0)
    assert.equal(server.draining, true)
    assert.equal(await canConnect(port), false)
  })
})

test('shutdown: a drain refuses new connections at once and lets open requests finish', async () => {
  const held = heldRoute()
  const stream = streamingRoute()
  const routes = [held.route, stream.route]
  await withGateway({ routes }, async ({ port, server }) => {
    const waiting = await open(port)
    waiting.socket.write(request('GET', '/held'))
    const streaming = await open(port)
    streaming.socket.write(request('GET', '/stream'))
    await streaming.until('first')
    assert.equal(server.openRequests, 2)
    const drained = server.drain(25_000)
    assert.equal(await canConnect(port), false)
    held.release()
    const reply = parseReply(await waiting.rest())
    assert.equal(reply.body, 'held')
    assert.ok(reply.headers.some(([name, value]) => name === 'Connection' && value === 'close'))
    stream.close()
    assert.match(await streaming.rest(), /first\r\n0\r\n\r\n$/)
    assert.equal(await drained, 0)
    assert.deepEqual(stream.outcomes, ['complete'])
  })
})

test('shutdown: idle connections hear for a second that the gateway is leaving, then end', async () => {
  const clock = createFakeClock()
  await withGateway({ clock }, async ({ port, server }) => {
    const [idle, probe] = await Promise.all([open(port), open(port)])
    for (const wire of [idle, probe]) {
      wire.socket.write(request('GET', '/readyz'))
      await wire.until('ready')
    }
    await eventually(() => server.openRequests === 0, 'both are idle')
    const drained = server.drain(25_000)
    await clock.advance(900)
    probe.socket.write(request('GET', '/readyz'))
    const last = (await probe.rest()).split(/(?<=ready)(?=HTTP)/)[1] ?? ''
    const reply = parseReply(last)
    assert.equal(reply.status, 503)
    assert.equal(reply.body, 'shutting down')
    assert.ok(reply.headers.some(([name, value]) => name === 'Connection' && value === 'close'))
    assert.ok(reply.headers.some(([name]) => name === 'retry-after'))
    assert.equal(idle.socket.readableEnded, false)
    await clock.advance(200)
    await idle.rest()
    assert.equal(await drained, 0)
  })
})

test('shutdown: health says the process lives while it drains', async () => {
  const clock = createFakeClock()
  await withGateway({ clock }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(request('GET', '/healthz'))
    await wire.until('ok')
    const drained = server.drain(25_000)
    wire.socket.write(request('GET', '/healthz'))
    assert.match(await wire.rest(), /ok.*HTTP\/1\.1 200 OK.*ok$/s)
    await clock.advance(1_100)
    assert.equal(await drained, 0)
  })
})

test('shutdown: when the window is over, what is left is cut, counted and told why', async () => {
  const clock = createFakeClock()
  const held = heldRoute()
  const stream = streamingRoute()
  const routes = [held.route, stream.route]
  await withGateway({ routes, clock }, async ({ port, server }) => {
    const waiting = await open(port)
    waiting.socket.write(request('GET', '/held'))
    const streaming = await open(port)
    streaming.socket.write(request('GET', '/stream'))
    await streaming.until('first')
    assert.ok(held.exchange()?.signal)
    const drained = server.drain(25_000)
    await clock.advance(24_900)
    assert.equal(server.openRequests, 2)
    await clock.advance(200)
    assert.equal(await drained, 2)
    assert.equal(await waiting.rest(), '')
    assert.doesNotMatch(await streaming.rest(), /0\r\n\r\n$/)
    assert.ok(held.exchange()?.signal.reason instanceof ShuttingDown)
    await eventually(() => stream.outcomes.length === 1, 'the tap is settled')
    assert.deepEqual(stream.outcomes, ['client-gone'])
    held.release()
  })
})

test('shutdown: a cut in the middle of a drain ends both', async () => {
  const held = heldRoute()
  await withGateway({ routes: [held.route] }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(request('GET', '/held'))
    await eventually(() => server.openRequests === 1, 'the request is open')
    const drained = server.drain(25_000)
    assert.equal(server.cut(), 1)
    assert.equal(await drained, 1)
    assert.equal(await wire.rest(), '')
    held.release()
    await eventually(() => server.openRequests === 0, 'the handler came to its end')
  })
})

test('shutdown: a cut ends connections in every state', async () => {
  await withGateway({}, async ({ port, server }) => {
    const silent = await open(port)
    const halfway = await open(port)
    halfway.socket.write('GET /healthz HTTP/1.1\r\nHo')
    const idle = await open(port)
    idle.socket.write(request('GET', '/healthz'))
    await idle.until('ok')
    await eventually(() => server.openRequests === 0, 'it is idle')
    assert.equal(server.cut(), 0)
    await Promise.all([silent.rest(), halfway.rest(), idle.rest()])
    assert.equal(server.cut(), 0)
  })
})

test('shutdown: connections that never asked for anything do not hold up a drain', async () => {
  const clock = createFakeClock()
  await withGateway({ clock }, async ({ port, server }) => {
    const silent = await open(port)
    await eventually(() => silent.socket.readyState === 'open', 'connected')
    const drained = server.drain(25_000)
    await clock.advance(1_100)
    assert.equal(await drained, 0)
    await silent.rest()
  })
})
