import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Reply } from '../../lib/http/exchange.ts'
import { ClientGone, DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import type { Outcome, Tap } from '../../lib/stream/tap.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  eventually,
  type GatewaySettings,
  type GatewayUnderTest,
  open,
  openRoute,
  parseReply,
  request,
  send,
  type Wire,
  withGateway,
} from './gateway-under-test.ts'

/** A tap that notes all it is told. */
function noting(): Tap & {
  readonly seen: Buffer[]
  readonly outcomes: Outcome[]
  readonly heads: number
} {
  const seen: Buffer[] = []
  const outcomes: Outcome[] = []
  let heads = 0
  return {
    name: 'noting',
    head: () => void (heads += 1),
    get heads() {
      return heads
    },
    seen,
    outcomes,
    chunk: (bytes) => void seen.push(Buffer.from(bytes)),
    settle: (outcome) => void outcomes.push(outcome),
  }
}

interface Source {
  readonly body: ReadableStream<Uint8Array>
  readonly push: (text: string) => void
  readonly close: () => void
  readonly fail: (reason: unknown) => void
  /** Why the reader gave up; undefined while it has not. */
  readonly cancelled: () => unknown
}

/** A body the spec feeds by hand. */
function source(): Source {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let cancelled: unknown
  return {
    body: new ReadableStream<Uint8Array>({
      start: (of) => void (controller = of),
      cancel: (reason) => void (cancelled = reason),
    }),
    push: (text) => controller?.enqueue(Buffer.from(text)),
    close: () => controller?.close(),
    fail: (reason) => controller?.error(reason),
    cancelled: () => cancelled,
  }
}

async function withReply(
  reply: Partial<Reply>,
  body: (gateway: GatewayUnderTest, wire: Wire) => Promise<void>,
  settings: GatewaySettings = {},
): Promise<void> {
  const route = openRoute('/', () => ({
    status: 200,
    headers: [['Content-Type', 'text/event-stream']],
    body: null,
    ...reply,
  }))
  await withGateway({ ...settings, routes: [route] }, async (gateway) => {
    const wire = await open(gateway.port)
    wire.socket.write(request('GET', '/'))
    await body(gateway, wire)
    wire.socket.destroy()
  })
}

/** The bytes of a chunked body, and whether it came to its end. */
function dechunk(text: string): { readonly body: string; readonly whole: boolean } {
  let rest = parseReply(text).body
  let body = ''
  for (;;) {
    const end = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, end), 16)
    if (end < 0 || Number.isNaN(length)) return { body, whole: false }
    if (length === 0) return { body, whole: true }
    body += rest.slice(end + 2, end + 2 + length)
    rest = rest.slice(end + 2 + length + 2)
  }
}

test('send: a stream arrives whole, and the taps see every byte of it in order', async () => {
  const tap = noting()
  const { body, push, close } = source()
  await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
    const events = Array.from({ length: 50 }, (_, at) => `data: ${at} größe\n\n`)
    for (const event of events) {
      push(event)
      await new Promise((resolve) => setImmediate(resolve))
    }
    close()
    await wire.until('\r\n0\r\n\r\n')
    const expected = Buffer.from(events.join(''))
    assert.equal(dechunk(wire.received()).body, expected.toString('latin1'))
    assert.deepEqual(Buffer.concat(tap.seen), expected)
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual([tap.outcomes, tap.heads], [['complete'], 1])
  })
})

test('send: the head does not wait for a first byte (B027)', async () => {
  const tap = noting()
  const { body, push, close } = source()
  await withReply({ body, taps: [tap] }, async (_, wire) => {
    const head = parseReply(await wire.until('\r\n\r\n'))
    assert.equal(head.status, 200)
    assert.equal(head.body, '')
    assert.equal(tap.heads, 1)
    push('data: late\n\n')
    await wire.until('data: late')
    close()
    await wire.until('0\r\n\r\n')
    assert.equal(tap.heads, 1)
  })
})

test('send: bytes that are there already leave together with the head', async () => {
  const { body, push, close } = source()
  push('data: 1\n\n')
  push('data: 2\n\n')
  close()
  const route = openRoute('/', () => ({ status: 200, headers: [], body }))
  await withGateway({ routes: [route] }, async ({ port }) => {
    const wire = await open(port)
    const packets: string[] = []
    wire.socket.on('data', (packet: Buffer) => packets.push(packet.toString()))
    wire.socket.write(request('GET', '/'))
    await wire.until('0\r\n\r\n')
    assert.equal(packets.length, 1, packets.join('\n---\n'))
    wire.socket.destroy()
  })
})

test('send: each chunk leaves when it comes (F204)', async () => {
  const { body, push, close } = source()
  await withReply({ body }, async (_, wire) => {
    for (const at of [1, 2, 3]) {
      push(`data: ${at}\n\n`)
      await wire.until(`data: ${at}\n\n`)
    }
    close()
  })
})

test('send: single bytes, empty chunks and large ones arrive alike', async () => {
  const tap = noting()
  const { body, push, close } = source()
  await withReply({ body, taps: [tap] }, async (_, wire) => {
    const long = 'x'.repeat(300_000)
    for (const letter of 'single') push(letter)
    push('')
    push(long)
    close()
    await wire.until('\r\n0\r\n\r\n')
    assert.deepEqual(dechunk(wire.received()), { body: `single${long}`, whole: true })
    assert.equal(Buffer.concat(tap.seen).length, long.length + 6)
    assert.ok(tap.seen.every((chunk) => chunk.length > 0))
  })
})

test('send: an empty stream is a whole, empty body', async () => {
  const tap = noting()
  const { body, close } = source()
  close()
  await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
    await wire.until('\r\n\r\n0\r\n\r\n')
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual([tap.outcomes, tap.heads], [['complete'], 1])
  })
})

test('send: after a stream the connection serves the next request', async () => {
  const { body, push, close } = source()
  await withReply({ body }, async (_, wire) => {
    push('a')
    close()
    await wire.until('0\r\n\r\n')
    wire.socket.write(request('GET', '/healthz'))
    await wire.until('ok')
  })
})

test('send: a known body shows itself to the taps and settles them', async () => {
  for (const body of ['größe', new TextEncoder().encode('größe')]) {
    const tap = noting()
    await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
      await wire.until('e')
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.equal(Buffer.concat(tap.seen).toString(), 'größe')
      assert.deepEqual(tap.outcomes, ['complete'])
    })
  }
})

for (const way of ['destroy', 'end', 'resetAndDestroy'] as const) {
  test(`send: a client that leaves (${way}) while nothing comes ends the source at once`, async () => {
    const tap = noting()
    const { body, push, cancelled } = source()
    await withReply({ body, taps: [tap] }, async ({ server, lines }, wire) => {
      push('data: 1\n\n')
      await wire.until('data: 1')
      wire.socket[way]()
      await eventually(() => cancelled() !== undefined, 'the source is told')
      assert.ok(cancelled() instanceof ClientGone)
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.deepEqual(tap.outcomes, ['client-gone'])
      assert.ok(!lines.some((line) => / (warn|error) /.test(line)))
    })
  })
}

test('send: a client that leaves before the head does ends the source too', async () => {
  const tap = noting()
  const { body, cancelled } = source()
  let release = (): void => {}
  const held = openRoute('/', async () => {
    await new Promise<void>((resolve) => (release = resolve))
    return { status: 200, headers: [], body, taps: [tap] }
  })
  await withGateway({ routes: [held] }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(request('GET', '/'))
    await eventually(() => server.openRequests === 1, 'the request is open')
    release()
    wire.socket.destroy()
    await eventually(() => cancelled() !== undefined, 'the source is told')
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(tap.outcomes, ['client-gone'])
  })
})

test('send: a source that hangs while it is cancelled holds nobody up', async () => {
  const tap = noting()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('a')),
    cancel: () => new Promise(() => {}),
  })
  await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
    await wire.until('a')
    wire.socket.destroy()
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(tap.outcomes, ['client-gone'])
  })
})

test('send: a source that fails while it is cancelled fails alone', async () => {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('a')),
    cancel: () => Promise.reject(new Error('no')),
  })
  await withReply({ body }, async ({ server }, wire) => {
    await wire.until('a')
    wire.socket.destroy()
    await eventually(() => server.openRequests === 0, 'the request is over')
  })
})

test('send: an upstream that breaks leaves a cut body, after all that came before', async () => {
  const tap = noting()
  const { body, push, fail, cancelled } = source()
  await withReply({ body, taps: [tap] }, async ({ server, lines }, wire) => {
    push('data: 1\n\n')
    await wire.until('data: 1')
    push('data: 2\n\n')
    await new Promise((resolve) => setImmediate(resolve))
    fail(new UpstreamBroke('socket closed', { cause: new Error('ECONNRESET') }))
    const { body: received, whole } = dechunk(await wire.rest())
    assert.equal(received, 'data: 1\n\ndata: 2\n\n')
    assert.equal(whole, false)
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(tap.outcomes, ['upstream-broke'])
    assert.equal(cancelled(), undefined)
    const told = lines.filter((line) =>
      / warn response broke off request_id=[0-9a-f-]{36}: UpstreamBroke: socket closed/.test(line),
    )
    assert.equal(told.length, 1)
  })
})

test('send: an upstream that breaks at once still shows the head, then a cut body', async () => {
  const { body, push, fail } = source()
  await withReply({ body }, async (_, wire) => {
    await wire.until('\r\n\r\n')
    push('data: 1\n\n')
    fail(new UpstreamBroke('early'))
    const text = await wire.rest()
    assert.match(text, /^HTTP\/1\.1 200 OK/)
    assert.equal(dechunk(text).whole, false)
  })
})

test('send: in HTTP/1.0, where closing means whole, a cut body is a reset', async () => {
  const { body, push, fail } = source()
  const route = openRoute('/', () => ({ status: 200, headers: [], body }))
  await withGateway({ routes: [route] }, async ({ port }) => {
    const wire = await open(port)
    let error: NodeJS.ErrnoException | undefined
    wire.socket.on('error', (reset: NodeJS.ErrnoException) => (error = reset))
    wire.socket.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    push('data: 1\n\n')
    await wire.until('data: 1')
    fail(new UpstreamBroke('cut'))
    await wire.rest()
    assert.equal(error?.code, 'ECONNRESET')
  })
})

test('send: in HTTP/1.0 a whole stream ends with the connection', async () => {
  const { body, push, close } = source()
  push('data: 1\n\n')
  close()
  const route = openRoute('/', () => ({ status: 200, headers: [], body }))
  await withGateway({ routes: [route] }, async ({ port }) => {
    assert.equal(
      parseReply(await send(port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')).body,
      'data: 1\n\n',
    )
  })
})

test('send: last words end a broken stream well, and are asked for with what broke it', async () => {
  const tap = noting()
  const reasons: unknown[] = []
  const { body, push, fail } = source()
  const breakOff = (reason: unknown): string => {
    reasons.push(reason)
    return 'event: error\ndata: {}\n\n'
  }
  await withReply({ body, taps: [tap], breakOff }, async ({ server }, wire) => {
    push('data: 1\n\n')
    await wire.until('data: 1')
    const reason = new UpstreamBroke('cut')
    fail(reason)
    const text = await wire.until('0\r\n\r\n')
    assert.deepEqual(dechunk(text), {
      body: 'data: 1\n\nevent: error\ndata: {}\n\n',
      whole: true,
    })
    assert.deepEqual(reasons, [reason])
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(tap.outcomes, ['upstream-broke'])
    assert.equal(Buffer.concat(tap.seen).toString(), 'data: 1\n\n')
    wire.socket.write(request('GET', '/healthz'))
    await wire.until('ok')
  })
})

test('send: without last words, or when asking for them fails, a broken body is cut', async () => {
  const refusals = [
    () => null,
    () => {
      throw new Error('no words')
    },
  ]
  for (const breakOff of refusals) {
    const tap = noting()
    const { body, push, fail } = source()
    await withReply({ body, taps: [tap], breakOff }, async (_, wire) => {
      push('data: 1\n\n')
      await wire.until('data: 1')
      fail(new UpstreamBroke('cut'))
      assert.equal(dechunk(await wire.rest()).whole, false)
      assert.deepEqual(tap.outcomes, ['upstream-broke'])
    })
  }
})

for (const [reason, outcome] of [
  [new DeadlineExceeded('upstream silence', 300_000), 'timeout'],
  [new UpstreamBroke('cut'), 'upstream-broke'],
  [new ClientGone(), 'client-gone'],
  ['a string', 'upstream-broke'],
  [undefined, 'upstream-broke'],
] as const) {
  test(`send: a stream that fails with ${String(reason)} settles as ${outcome}`, async () => {
    const tap = noting()
    const { body, push, fail } = source()
    await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
      push('a')
      await wire.until('a')
      fail(reason)
      await wire.rest()
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.deepEqual(tap.outcomes, [outcome])
    })
  })
}

test('send: a chunk that is no bytes breaks the stream instead of the process', async () => {
  let cancelled: unknown
  const tap = noting()
  // What a faulty source may do against its type.
  const body = new ReadableStream({
    start: (controller) => controller.enqueue({ length: 3 }),
    cancel: (reason) => void (cancelled = reason),
  })
  await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
    assert.equal(dechunk(await wire.rest()).whole, false)
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(tap.outcomes, ['upstream-broke'])
    assert.ok(cancelled instanceof TypeError)
  })
})

test('send: a tap that throws harms neither the response nor the other taps', async () => {
  const tap = noting()
  let settled = 0
  const faulty: Tap = {
    name: 'faulty',
    chunk: () => {
      throw new Error('chunk')
    },
    settle: () => {
      settled++
      throw new Error('settle')
    },
  }
  const { body, push, close } = source()
  await withReply({ body, taps: [faulty, tap] }, async ({ server, lines }, wire) => {
    push('data: 1\n\n')
    await wire.until('data: 1')
    push('data: 2\n\n')
    close()
    assert.deepEqual(dechunk(await wire.until('0\r\n\r\n')), {
      body: 'data: 1\n\ndata: 2\n\n',
      whole: true,
    })
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.equal(settled, 1)
    assert.deepEqual(tap.outcomes, ['complete'])
    assert.ok(lines.some((line) => / error tap faulty /.test(line)))
  })
})

test('send: a reader that does not read stops the source, and loses nothing when it goes on', async () => {
  const total = 64 * 1024 * 1024
  const block = randomBytes(64 * 1024)
  const hash = createHash('sha256')
  let made = 0
  const tap: Tap = { name: 'hash', chunk: (bytes) => void hash.update(bytes), settle: () => {} }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await new Promise((resolve) => setImmediate(resolve))
        made += block.length
        controller.enqueue(block)
        if (made >= total) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  await withReply({ body, taps: [tap] }, async (_, wire) => {
    await wire.until('\r\n\r\n')
    wire.socket.pause()
    let before = -1
    while (before !== made) {
      before = made
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    // What the system's socket buffers took on both sides, and no more.
    assert.ok(made < 24 * 1024 * 1024, `${made} bytes pulled for a reader that stands still`)
    const received = createHash('sha256')
    wire.socket.removeAllListeners('data')
    let rest = Buffer.from(wire.received(), 'latin1')
    rest = rest.subarray(rest.indexOf('\r\n\r\n') + 4)
    const parser = createDechunker((bytes) => received.update(bytes))
    parser(rest)
    wire.socket.on('data', parser)
    wire.socket.resume()
    await eventually(() => parser.ended(), 'the whole body arrived')
    assert.equal(received.digest('hex'), hash.digest('hex'))
    assert.equal(made, total)
  })
})

/** Chunked framing taken off as it arrives, without keeping the body. */
function createDechunker(
  take: (bytes: Buffer) => void,
): ((data: Buffer) => void) & { ended(): boolean } {
  let held = Buffer.alloc(0)
  let ended = false
  const feed = (data: Buffer): void => {
    held = Buffer.concat([held, data])
    for (;;) {
      const end = held.indexOf('\r\n')
      if (end < 0) return
      const length = Number.parseInt(held.subarray(0, end).toString(), 16)
      if (held.length < end + 2 + length + 2) return
      if (length === 0) {
        ended = true
        return
      }
      take(held.subarray(end + 2, end + 2 + length))
      held = held.subarray(end + 2 + length + 2)
    }
  }
  return Object.assign(feed, { ended: () => ended })
}

test('send: a reader that stands still for five minutes is gone', async () => {
  const clock = createFakeClock()
  const tap = noting()
  let cancelled: unknown
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(Buffer.alloc(256 * 1024)),
    cancel: (reason) => void (cancelled = reason),
  })
  await withReply(
    { body, taps: [tap] },
    async ({ server, lines }, wire) => {
      await wire.until('\r\n\r\n')
      wire.socket.pause()
      let before = -1
      while (before !== tap.seen.length) {
        before = tap.seen.length
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      await clock.advance(290_000)
      assert.equal(server.openRequests, 1)
      await clock.advance(20_000)
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.ok(cancelled instanceof ClientGone)
      assert.deepEqual(tap.outcomes, ['client-gone'])
      assert.ok(lines.some((line) => / debug client took nothing for 300 s/.test(line)))
    },
    { clock },
  )
})

test('send: a known body that nobody takes is given up after five minutes too', async () => {
  const clock = createFakeClock()
  const tap = noting()
  await withReply(
    { body: Buffer.alloc(64 * 1024 * 1024), taps: [tap] },
    async ({ server }, wire) => {
      await wire.until('\r\n\r\n')
      wire.socket.pause()
      await clock.advance(310_000)
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.deepEqual(tap.outcomes, ['client-gone'])
    },
    { clock },
  )
})

test('send: a known body cut short by a reset did not arrive', async () => {
  const tap = noting()
  await withReply(
    { body: Buffer.alloc(64 * 1024 * 1024), taps: [tap] },
    async ({ server }, wire) => {
      await wire.until('\r\n\r\n')
      wire.socket.pause()
      wire.socket.resetAndDestroy()
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.deepEqual(tap.outcomes, ['client-gone'])
    },
  )
})

test('send: a client that leaves while its reader stands still wakes the loop', async () => {
  const tap = noting()
  let cancelled: unknown
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(Buffer.alloc(256 * 1024)),
    cancel: (reason) => void (cancelled = reason),
  })
  await withReply({ body, taps: [tap] }, async ({ server }, wire) => {
    await wire.until('\r\n\r\n')
    wire.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 200))
    wire.socket.destroy()
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.ok(cancelled instanceof ClientGone)
    assert.deepEqual(tap.outcomes, ['client-gone'])
  })
})

test('send: many streams leave no listeners on their connection', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  const streams = openRoute('/', () => {
    const { body, push, close } = source()
    push('x'.repeat(200_000))
    setImmediate(close)
    return { status: 200, headers: [], body }
  })
  await withGateway({ routes: [streams] }, async ({ port }) => {
    const wire = await open(port)
    for (let round = 1; round <= 30; round++) {
      wire.socket.write(request('GET', '/'))
      await eventually(() => wire.received().split('\r\n0\r\n\r\n').length === round + 1, 'a reply')
    }
    wire.socket.destroy()
  })
  process.off('warning', onWarning)
  assert.deepEqual(warnings, [])
})
