import assert from 'node:assert/strict'
import { test } from 'node:test'
import { json, text } from '../../lib/http/reply.ts'
import { bareStatusOf, headerFieldsMax, weighHead } from '../../lib/http/transport.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  eventually,
  get,
  type GatewaySettings,
  open,
  openRoute,
  parseReply,
  request,
  send,
  withGateway,
} from './gateway-under-test.ts'

const bare400 = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
const bare431 = 'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n'

const routes = [
  openRoute('/echo', async (exchange) => {
    const body = await exchange.readBody()
    return json(200, { method: exchange.method, body: Buffer.from(body).toString() })
  }),
]

test('transport: a head is weighed by names, values and four octets a field', () => {
  assert.deepEqual(weighHead(['Host', 'h', 'X-A', 'bc']), {
    bytes: 4 + 1 + 3 + 2 + 8,
    fields: 2,
    hosts: 1,
  })
  assert.deepEqual(weighHead([]), { bytes: 0, fields: 0, hosts: 0 })
  assert.equal(weighHead(['HOST', 'a', 'host', 'b', 'X-Host', 'c', 'a', 'host']).hosts, 2)
})

test('transport: parser errors become a bare status, broken connections nothing', () => {
  assert.equal(bareStatusOf('HPE_INVALID_METHOD', 10), '400 Bad Request')
  assert.equal(bareStatusOf('HPE_HEADER_OVERFLOW', 10), '431 Request Header Fields Too Large')
  assert.equal(bareStatusOf('ERR_HTTP_REQUEST_TIMEOUT', 10), '408 Request Timeout')
  assert.equal(bareStatusOf('ERR_HTTP_REQUEST_TIMEOUT', 0), null)
  for (const code of ['ECONNRESET', 'ERR_SSL_HTTP_REQUEST', 'EPIPE', '']) {
    assert.equal(bareStatusOf(code, 10), null, code)
  }
})

const abuses: readonly (readonly [name: string, sent: string])[] = [
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['a garbage request line', 'GET /healthz\r\nHost: a\r\n\r\n'],
  ['an unknown version', 'GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n'],
  ['an unknown method', 'BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method in lower case', 'get /healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['two lengths that differ', request('POST', '/echo', 'Content-Length: 2', 'Content-Length: 3')],
  ['two lengths that agree', request('POST', '/echo', 'Content-Length: 2', 'Content-Length: 2')],
  ['a negative length', request('POST', '/echo', 'Content-Length: -1')],
  ['a length that is no number', request('POST', '/echo', 'Content-Length: 2a')],
  ['a length with a sign', request('POST', '/echo', 'Content-Length: +2')],
  ['a list of lengths', request('POST', '/echo', 'Content-Length: 2, 2')],
  ['a length beyond counting', request('POST', '/echo', `Content-Length: ${'9'.repeat(30)}`)],
  [
    'length and chunks',
    request('POST', '/echo', 'Content-Length: 3', 'Transfer-Encoding: chunked'),
  ],
  [
    'chunks and length',
    request('POST', '/echo', 'Transfer-Encoding: chunked', 'Content-Length: 3'),
  ],
  ['an encoding that does not end in chunks', request('POST', '/echo', 'Transfer-Encoding: gzip')],
  ['no host', 'GET /healthz HTTP/1.1\r\n\r\n'],
  ['no host in HTTP/1.0', 'GET /healthz HTTP/1.0\r\n\r\n'],
  ['two hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['a space before the colon', 'GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['a folded header', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n'],
  ['a NUL in a header', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n'],
  ['a bare CR in a header', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n'],
  ['an empty header name', 'GET /healthz HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
  ['a target that is none', 'GET healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a target of another scheme', 'GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a tunnel', 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n'],
]

for (const [name, sent] of abuses) {
  test(`transport: ${name} gets a bare 400 and the connection ends`, async () => {
    await withGateway({ routes }, async ({ port, lines }) => {
      assert.equal(await send(port, sent), bare400)
      assert.ok(lines.some((line) => / debug .*client_ip=127\.0\.0\.1/.test(line)))
      assert.equal(parseReply(await get(port, '/healthz')).status, 200)
    })
  })
}

test('transport: the HTTP/2 preface is turned away', async () => {
  await withGateway({}, async ({ port }) => {
    const answer = await send(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    assert.ok(answer === '' || answer === bare400, answer)
  })
})

test('transport: as many fields as allowed pass, one more is a bare 431', async () => {
  await withGateway({}, async ({ port }) => {
    const fields = (count: number): string[] =>
      Array.from({ length: count }, (_, at) => `X-${at}: a`)
    const others = 2 // Host and Connection
    assert.equal(
      parseReply(await get(port, '/healthz', ...fields(headerFieldsMax - others))).status,
      200,
    )
    assert.equal(await get(port, '/healthz', ...fields(headerFieldsMax - others + 1)), bare431)
    assert.equal(await get(port, '/healthz', ...fields(20_000)), bare431)
  })
})

test('transport: a hundred kilobytes in one header pass, three hundred are a bare 431', async () => {
  await withGateway({}, async ({ port }) => {
    assert.equal(parseReply(await get(port, '/healthz', `X: ${'a'.repeat(100_000)}`)).status, 200)
    assert.equal(await get(port, '/healthz', `X: ${'a'.repeat(300_000)}`), bare431)
    assert.equal(await get(port, `/healthz?${'a'.repeat(300_000)}`), bare431)
    assert.equal(parseReply(await get(port, `/healthz?${'a'.repeat(100_000)}`)).status, 200)
  })
})

test('transport: a header without end is cut off, not collected', async () => {
  await withGateway({}, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX: `)
    const flood = 'a'.repeat(65_536)
    const timer = setInterval(() => wire.socket.writable && wire.socket.write(flood), 1)
    assert.equal(await wire.until('\r\n\r\n'), bare431)
    clearInterval(timer)
    wire.socket.destroy()
  })
})

test('transport: HTTP/1.0 with a host is served, and closed after it', async () => {
  await withGateway({}, async ({ port }) => {
    const ask = (...fields: string[]): Promise<string> =>
      send(port, `${['GET /healthz HTTP/1.0', 'Host: a', ...fields].join('\r\n')}\r\n\r\n`)
    assert.equal(parseReply(await ask()).body, 'ok')
    assert.equal(parseReply(await ask('Connection: keep-alive')).body, 'ok')
  })
})

test('transport: a request for another protocol is served in this one', async () => {
  await withGateway({}, async ({ port }) => {
    const upgrade = [
      'Connection: Upgrade, close',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
    ]
    const reply = parseReply(await send(port, request('GET', '/healthz', ...upgrade)))
    assert.deepEqual([reply.status, reply.body], [200, 'ok'])
  })
})

test('transport: a hundred requests on one connection are answered one after the other', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const wire = await open(port)
    for (let round = 1; round <= 100; round++) {
      wire.socket.write(
        `${request('POST', '/echo', 'Content-Length: 3')}${String(round).padStart(3, '0')}`,
      )
      await wire.until(`"body":"${String(round).padStart(3, '0')}"`)
    }
    assert.doesNotMatch(wire.received(), /connection:|keep-alive:/i)
    wire.socket.destroy()
  })
})

test('transport: a few requests sent ahead are answered in their order', async () => {
  const slow: GatewaySettings = {
    routes: [
      openRoute('/wait', async (exchange) => {
        await new Promise((resolve) => setTimeout(resolve, Number(exchange.query.slice(1))))
        return text(200, exchange.query)
      }),
    ],
  }
  await withGateway(slow, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write([60, 1, 30, 0].map((ms) => request('GET', `/wait?${ms}`)).join(''))
    await wire.until('?0')
    const bodies = [...wire.received().matchAll(/\r\n\r\n(\?\d+)/g)].map(([, body]) => body)
    assert.deepEqual(bodies, ['?60', '?1', '?30', '?0'])
    wire.socket.destroy()
  })
})

test('transport: a flood of requests sent ahead starts few of them and ends the connection', async () => {
  let started = 0
  let lost = 0
  const flooded = openRoute('/wait', (exchange) => {
    started++
    return new Promise((_, reject) => {
      exchange.signal.addEventListener('abort', () => {
        lost++
        reject(exchange.signal.reason)
      })
    })
  })
  await withGateway({ routes: [flooded] }, async ({ port, server, lines }) => {
    assert.equal(await send(port, request('GET', '/wait').repeat(2000)), '')
    await eventually(() => server.openRequests === 0, 'no request is left open')
    assert.ok(started <= 16, `${started} handlers started`)
    assert.equal(lost, started)
    assert.ok(lines.some((line) => line.includes('sent ahead')))
  })
})

test('transport: garbage behind a request does not disturb the answer’s meaning', async () => {
  await withGateway({ routes }, async ({ port }) => {
    const reply = await send(port, `${request('GET', '/healthz')}garbage\r\n\r\n`)
    // Either the answer came whole before the refusal, or the connection was cut without a word.
    assert.ok(reply === '' || /^HTTP\/1\.1 (200|400) /.test(reply), reply)
    assert.ok((reply.match(/HTTP\/1\.1/g) ?? []).length <= 2)
  })
})

test('transport: a refused client that keeps sending is cut off in the end', async () => {
  const clock = createFakeClock()
  await withGateway({ clock }, async ({ port }) => {
    const wire = await open(port)
    wire.socket.write('garbage\r\n\r\n')
    await wire.until(bare400)
    assert.equal(wire.socket.writable, true)
    await clock.advance(11_000)
    await wire.rest()
  })
})
