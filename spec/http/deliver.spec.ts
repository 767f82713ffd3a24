import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reply } from '../../lib/http/exchange.ts'
import { text } from '../../lib/http/reply.ts'
import type { Outcome } from '../../lib/stream/tap.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  eventually,
  get,
  open,
  openRoute,
  parseReply,
  request,
  send,
  withGateway,
} from './gateway-under-test.ts'

const answer = (reply: Partial<Reply>) =>
  openRoute('/', () => ({ status: 200, headers: [], body: null, ...reply }))
const named = (reply: { headers: [string, string][] }, name: string): string[] =>
  reply.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)

test('deliver: a known body has its length in bytes and no chunks', async () => {
  for (const [body, length] of [
    ['größe', 7],
    [new TextEncoder().encode('größe'), 7],
    ['', 0],
    [null, 0],
  ] as const) {
    await withGateway({ routes: [answer({ body })] }, async ({ port }) => {
      const reply = parseReply(await get(port, '/'))
      assert.deepEqual(named(reply, 'content-length'), [String(length)])
      assert.deepEqual(named(reply, 'transfer-encoding'), [])
      assert.equal(reply.body.length, length)
    })
  }
})

test('deliver: statuses without a body have neither body nor length', async () => {
  for (const status of [204, 304]) {
    await withGateway({ routes: [answer({ status, body: 'ignored' })] }, async ({ port }) => {
      const wire = await open(port)
      wire.socket.write(request('GET', '/'))
      await wire.until('\r\n\r\n')
      wire.socket.write(request('GET', '/healthz', 'Connection: close'))
      const [first = '', second = ''] = (await wire.rest()).split(/(?<=\r\n\r\n)(?=HTTP)/)
      assert.equal(parseReply(first).body, '')
      assert.deepEqual(named(parseReply(first), 'content-length'), [])
      assert.deepEqual(named(parseReply(first), 'transfer-encoding'), [])
      assert.equal(parseReply(second).body, 'ok')
    })
  }
})

test('deliver: HEAD gets the head alone, and a stream behind it is given up', async () => {
  let cancelled = false
  const outcomes: Outcome[] = []
  const stream = answer({
    body: new ReadableStream({ cancel: () => void (cancelled = true) }),
    taps: [{ name: 'noted', settle: (outcome) => outcomes.push(outcome) }],
  })
  await withGateway({ routes: [stream] }, async ({ port }) => {
    const reply = parseReply(await send(port, request('HEAD', '/', 'Connection: close')))
    assert.deepEqual([reply.status, reply.body], [200, ''])
    assert.deepEqual(named(reply, 'transfer-encoding'), [])
    assert.equal(cancelled, true)
    assert.deepEqual(outcomes, ['complete'])
  })
  await withGateway({ routes: [answer({ body: 'twelve bytes' })] }, async ({ port }) => {
    const reply = parseReply(await send(port, request('HEAD', '/', 'Connection: close')))
    assert.equal(reply.body, '')
    assert.deepEqual(named(reply, 'content-length'), ['12'])
  })
})

test('deliver: a reply that cannot be written becomes a 500, its stream freed and taps settled', async () => {
  for (const headers of [[['x-bad', 'a\r\nInjected: 1']], [['bad name', 'a']]] as const) {
    let cancelled = false
    const outcomes: Outcome[] = []
    const bad = answer({
      headers,
      body: new ReadableStream({ cancel: () => void (cancelled = true) }),
      taps: [{ name: 'noted', settle: (outcome) => outcomes.push(outcome) }],
    })
    await withGateway({ routes: [bad] }, async ({ port, lines }) => {
      const reply = await get(port, '/')
      assert.equal(parseReply(reply).status, 500)
      assert.doesNotMatch(reply, /Injected/)
      assert.equal(cancelled, true)
      assert.deepEqual(outcomes, ['upstream-broke'])
      assert.ok(lines.some((line) => / error unwritable reply request_id=/.test(line)))
    })
  }
})

test('deliver: a reply without a connection header keeps the connection', async () => {
  await withGateway({ routes: [answer({ body: 'x' })] }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(request('GET', '/'))
    const reply = parseReply(await wire.until('\r\n\r\nx'))
    assert.deepEqual(named(reply, 'connection'), [])
    assert.deepEqual(named(reply, 'keep-alive'), [])
    wire.socket.write(request('GET', '/healthz'))
    await wire.until('ok')
    wire.socket.destroy()
  })
})

test('deliver: a refused body is read to its end, so that its sender can read the refusal', async () => {
  await withGateway({ limits: { max_request_bytes: 1000 } }, async ({ port }) => {
    const size = 8_000_000
    const wire = await open(port)
    wire.socket.write(request('POST', '/any', `Content-Length: ${size}`))
    const block = Buffer.alloc(100_000)
    for (let sent = 0; sent < size; sent += block.length) {
      if (!wire.socket.write(block)) {
        await new Promise((resolve) => wire.socket.once('drain', resolve))
      }
    }
    const reply = parseReply(await wire.rest())
    assert.equal(reply.status, 413)
    assert.equal(reply.body, 'payload too large')
    assert.deepEqual(named(reply, 'connection'), ['close'])
  })
})

test('deliver: the refusal is there before the refused body is', async () => {
  await withGateway({ limits: { max_request_bytes: 1000 } }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(request('POST', '/any', 'Content-Length: 1001'))
    assert.equal(parseReply(await wire.until('payload too large')).status, 413)
    wire.socket.write(Buffer.alloc(1001))
    await wire.rest()
  })
})

test('deliver: a refused client that never finishes its body is cut off', async () => {
  const clock = createFakeClock()
  await withGateway({ limits: { max_request_bytes: 1000 }, clock }, async ({ port, server }) => {
    const long = await open(port)
    long.socket.write(request('POST', '/any', 'Content-Length: 99999999999'))
    await long.until('payload too large')
    const endless = await open(port)
    endless.socket.write(request('POST', '/any', 'Transfer-Encoding: chunked'))
    await endless.until('length required')
    endless.socket.write('3\r\nabc\r\n')
    assert.equal(server.openRequests, 2)
    await clock.advance(40_000)
    await Promise.all([long.rest(), endless.rest()])
    await eventually(() => server.openRequests === 0, 'both are over')
  })
})

test('deliver: a chunked body that was refused ends with the connection', async () => {
  await withGateway({}, async ({ port }) => {
    const chunked = `${request('POST', '/any', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`
    const reply = parseReply(await send(port, `${chunked}`))
    assert.equal(reply.status, 411)
    assert.deepEqual(named(reply, 'connection'), ['close'])
  })
})

test('deliver: a body within the limit that nobody read leaves the connection usable', async () => {
  await withGateway({ routes: [answer({ body: 'x' })] }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(request('POST', '/', 'Content-Length: 200000'))
    await wire.until('\r\n\r\nx')
    wire.socket.write(Buffer.alloc(200_000))
    wire.socket.write(request('GET', '/healthz'))
    await wire.until('ok')
    wire.socket.destroy()
  })
})

test('deliver: HSTS is not said over plain HTTP', async () => {
  await withGateway({ routes: [openRoute('/', () => text(200, ''))] }, async ({ port }) => {
    assert.deepEqual(named(parseReply(await get(port, '/')), 'strict-transport-security'), [])
  })
})
