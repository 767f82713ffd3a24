import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { json, text } from '../../lib/http/reply.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  eventually,
  open,
  openRoute,
  parseReply,
  request,
  send,
  withGateway,
} from './gateway-under-test.ts'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const routes = [
  openRoute('/digest', async (exchange) => {
    const body = await exchange.readBody()
    return json(200, { length: body.length, digest: digest(body) })
  }),
  openRoute('/small', async (exchange) => text(200, String((await exchange.readBody(10)).length))),
  openRoute('/twice', async (exchange) => {
    const [one, two] = await Promise.all([exchange.readBody(), exchange.readBody()])
    return text(200, String(one === two))
  }),
]

const post = (path: string, length: number, ...headers: string[]): string =>
  request('POST', path, `Content-Length: ${length}`, ...headers)

test('body: it arrives whole and unchanged, whatever its size', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const wire = await open(port)
    for (const size of [1, 17, 1000, 65_535, 65_536, 200_000, 1_048_576, 1_048_577, 3_000_000]) {
      const body = randomBytes(size)
      wire.socket.write(post('/digest', size))
      wire.socket.write(body)
      await wire.until(`{"length":${size},"digest":"${digest(body)}"}`)
    }
    wire.socket.destroy()
  })
})

test('body: the way it is cut into packets does not matter', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const body = randomBytes(300)
    const wire = await open(port)
    for (const byte of Buffer.concat([Buffer.from(post('/digest', body.length)), body])) {
      wire.socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await wire.until(`{"length":300,"digest":"${digest(body)}"}`)
    wire.socket.destroy()
  })
})

test('body: what comes with its head and what comes after it is the same body', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const wire = await open(port)
    for (const size of [1, 1000, 30_000]) {
      const head = Buffer.from(post('/digest', size))
      for (const cut of [0, head.length, head.length + 1, head.length + size - 1]) {
        const body = randomBytes(size)
        const whole = Buffer.concat([head, body])
        if (cut > 0) wire.socket.write(whole.subarray(0, cut))
        await new Promise((resolve) => setTimeout(resolve, 5))
        wire.socket.write(whole.subarray(cut))
        await wire.until(`{"length":${size},"digest":"${digest(body)}"}`)
      }
    }
    wire.socket.destroy()
  })
})

test('body: a client that left before anybody read is noticed at once', async () => {
  let ended: unknown
  const late = openRoute('/late', async (exchange) => {
    await new Promise<void>((gone) => exchange.signal.addEventListener('abort', gone))
    // By now the request has closed, and says so to nobody any more.
    await new Promise((resolve) => setTimeout(resolve, 20))
    ended = await exchange.readBody().catch((error: unknown) => error)
    return text(200, '')
  })
  await withGateway({ routes: [late] }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(post('/late', 100))
    wire.socket.write('half of it')
    await eventually(() => server.openRequests === 1, 'the request has come')
    wire.socket.destroy()
    await eventually(() => ended !== undefined, 'the reader is told')
    assert.ok(ended instanceof ClientGone)
  })
})

test('body: none is an empty one', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const empty = `{"length":0,"digest":"${digest(new Uint8Array(0))}"}`
    for (const headers of [[], ['Content-Length: 0']]) {
      const reply = await send(port, request('POST', '/digest', ...headers, 'Connection: close'))
      assert.equal(parseReply(reply).body, empty)
    }
  })
})

test('body: read twice it is read once', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const reply = await send(port, `${post('/twice', 3, 'Connection: close')}abc`)
    assert.equal(parseReply(reply).body, 'true')
  })
})

test('body: a route’s own bound is kept, and the connection stays usable', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(`${post('/small', 10)}0123456789`)
    await wire.until('\r\n\r\n10')
    wire.socket.write(`${post('/small', 11)}0123456789a`)
    await wire.until('payload too large')
    wire.socket.write(`${post('/small', 9)}012345678`)
    await wire.until('\r\n\r\n9')
    wire.socket.destroy()
  })
})

test('body: one that stops coming is answered 408 after a minute, and the connection ends', async () => {
  const clock = createFakeClock()
  await withGateway({ routes, clock }, async ({ port, server, lines }) => {
    const wire = await open(port)
    wire.socket.write(`${post('/digest', 10)}abc`)
    await eventually(() => server.openRequests === 1, 'the request is open')
    await clock.advance(55_000)
    wire.socket.write('d')
    await new Promise((resolve) => setTimeout(resolve, 50))
    await clock.advance(55_000)
    assert.equal(wire.received(), '')
    await clock.advance(15_000)
    const reply = parseReply(await wire.until('request body timed out'))
    assert.equal(reply.status, 408)
    assert.ok(reply.headers.some(([name, value]) => name === 'Connection' && value === 'close'))
    assert.ok(lines.some((line) => / debug http\/body-timeout .*client_ip=127\.0\.0\.1/.test(line)))
    await clock.advance(40_000)
    await wire.rest()
  })
})

test('body: a drip that never stops is answered 408 after ten minutes', async () => {
  const clock = createFakeClock()
  await withGateway({ routes, clock }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(post('/digest', 1000))
    await eventually(() => server.openRequests === 1, 'the request is open')
    for (let minute = 0; minute < 21 && wire.received() === ''; minute++) {
      wire.socket.write('x')
      await new Promise((resolve) => setTimeout(resolve, 10))
      await clock.advance(30_000)
    }
    assert.equal(parseReply(await wire.until('timed out')).status, 408)
    wire.socket.destroy()
  })
})

test('body: a client that leaves in the middle ends the reading as gone', async () => {
  let reason: unknown
  const leaving = openRoute('/leaving', async (exchange) => {
    reason = await exchange.readBody().catch((error: unknown) => error)
    return text(200, '')
  })
  await withGateway({ routes: [leaving] }, async ({ port, server }) => {
    for (const leave of ['destroy', 'end'] as const) {
      reason = undefined
      const wire = await open(port)
      wire.socket.write(`${post('/leaving', 10)}abc`)
      await eventually(() => server.openRequests === 1, 'the request is open')
      wire.socket[leave]()
      await eventually(() => reason !== undefined, 'reading ended')
      assert.ok(reason instanceof ClientGone)
      await eventually(() => server.openRequests === 0, 'the request is over')
    }
  })
})

test('body: memory follows what arrived, not what was announced', async () => {
  await withGateway({ routes }, async ({ port, server }) => {
    const before = process.memoryUsage().rss
    const wires = await Promise.all(Array.from({ length: 50 }, () => open(port)))
    for (const wire of wires) wire.socket.write(`${post('/digest', 33_554_432)}a`)
    await eventually(() => server.openRequests === 50, 'all are open')
    const grown = process.memoryUsage().rss - before
    for (const wire of wires) wire.socket.destroy()
    assert.ok(grown < 200 * 1024 * 1024, `${grown} bytes for 1.6 GB announced`)
  })
})

test('body: what was copied into place is freed at once, without the garbage collector', async () => {
  const size = 32 * 1024 * 1024
  let before = 0
  let after = 0
  const measured = openRoute('/measured', async (exchange) => {
    before = process.memoryUsage().arrayBuffers
    const body = await exchange.readBody()
    after = process.memoryUsage().arrayBuffers
    return text(200, String(body.length))
  })
  await withGateway({ routes: [measured] }, async ({ port }) => {
    const block = Buffer.alloc(256 * 1024)
    const wire = await open(port)
    wire.socket.write(post('/measured', size))
    for (let sent = 0; sent < size; sent += block.length) {
      if (!wire.socket.write(block)) {
        await new Promise((resolve) => wire.socket.once('drain', resolve))
      }
    }
    await wire.until(String(size))
    wire.socket.destroy()
    assert.ok(after - before < 1.2 * size, `${after - before} bytes for a body of ${size}`)
  })
})

test('body: 100-continue is said when a route reads, and only then', async () => {
  const refusing = openRoute('/refuse', () => text(403, 'no'))
  await withGateway({ routes: [...routes, refusing] }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(post('/digest', 3, 'Expect: 100-continue'))
    await wire.until('HTTP/1.1 100 Continue\r\n\r\n')
    wire.socket.write('abc')
    await wire.until('"length":3')
    wire.socket.write(post('/refuse', 3, 'Expect: 100-continue'))
    const rest = (await wire.rest()).split('"length":3')[1] ?? ''
    assert.doesNotMatch(rest, /100 Continue/)
    assert.match(rest, /HTTP\/1\.1 403 Forbidden\r\n[^]*\r\nConnection: close\r\n/)
  })
})

test('body: 100-continue is not said for a body that is refused by its length', async () => {
  await withGateway({ routes, limits: { max_request_bytes: 10 } }, async ({ port }) => {
    const reply = await send(port, post('/digest', 11, 'Expect: 100-continue'))
    assert.equal(parseReply(reply).status, 413)
  })
})

test('body: an expectation nobody knows is ignored', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const reply = await send(port, `${post('/digest', 3, 'Expect: tea', 'Connection: close')}abc`)
    assert.equal(parseReply(reply).status, 200)
  })
})
