import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../lib/http/exchange.ts'
import { json, text } from '../../lib/http/reply.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import type { Cancellation } from '../../lib/kernel/cancellation.ts'
import { fail } from '../../lib/kernel/errors.ts'
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

test('serve: a handler sees the request as it was sent', async () => {
  let seen: Exchange | undefined
  const look = openRoute('/look/', (exchange) => {
    seen = exchange
    return text(200, '')
  })
  await withGateway({ routes: [look] }, async ({ port }) => {
    await get(port, '/x/../look/?a=%41', 'X-Odd: One', 'x-odd: two')
    assert.equal(seen?.method, 'GET')
    assert.equal(seen?.path, '/look/')
    assert.equal(seen?.query, '?a=%41')
    assert.equal(seen?.headers['host'], 'gateway.test')
    assert.deepEqual(seen?.headerLines('x-odd'), ['One', 'two'])
    assert.equal(seen?.clientAddress, '127.0.0.1')
    assert.equal(seen?.signal.aborted, false)
    assert.ok(Math.abs(performance.now() - (seen?.startedAt ?? 0)) < 60_000)
  })
})

test('serve: a refusal is answered in its wire form, its detail only logged', async () => {
  const refuse = openRoute('/refuse', () =>
    fail('store/unavailable', { detail: 'connect ECONNREFUSED 10.0.0.5' }),
  )
  await withGateway({ routes: [refuse] }, async ({ port, lines }) => {
    const reply = await get(port, '/refuse')
    const { status, headers, body } = parseReply(reply)
    const id = headers.find(([name]) => name === 'x-request-id')?.[1] ?? ''
    assert.equal(status, 503)
    assert.deepEqual(JSON.parse(body), {
      type: 'error',
      request_id: id,
      error: { type: 'api_error', message: 'store unavailable' },
    })
    assert.ok(headers.some(([name, value]) => name === 'retry-after' && value === '5'))
    assert.doesNotMatch(reply, /ECONNREFUSED/)
    const logged = lines.filter((line) => line.includes(id))
    assert.equal(logged.length, 1)
    assert.match(logged[0] ?? '', / warn store\/unavailable .*ECONNREFUSED 10\.0\.0\.5/)
  })
})

test('serve: refusals of what clients did are logged for debugging, with id and address', async () => {
  await withGateway({ limits: { max_request_bytes: 5 } }, async ({ port, lines }) => {
    await send(port, `${request('POST', '/any', 'Content-Length: 6')}abcdef`)
    await get(port, '/any')
    assert.ok(
      lines.some((line) =>
        / debug http\/payload-too-large request_id=[0-9a-f-]{36} client_ip=127\.0\.0\.1/.test(line),
      ),
    )
    assert.ok(lines.some((line) => / debug session\/invalid-token request_id=/.test(line)))
    assert.ok(!lines.some((line) => / (warn|error) /.test(line)))
  })
})

for (const [how, handler] of [
  [
    'throws',
    () => {
      throw new TypeError('secret thing', { cause: new Error('secret cause') })
    },
  ],
  [
    'rejects',
    () => Promise.reject(new TypeError('secret thing', { cause: new Error('secret cause') })),
  ],
] as const) {
  test(`serve: a handler that ${how} is a 500 that says nothing, and one line that says all`, async () => {
    await withGateway({ routes: [openRoute('/bug', handler)] }, async ({ port, lines }) => {
      const reply = await get(port, '/bug')
      const { status, headers, body } = parseReply(reply)
      const id = headers.find(([name]) => name === 'x-request-id')?.[1] ?? ''
      assert.equal(status, 500)
      assert.equal(
        body,
        `{"type":"error","request_id":"${id}","error":{"type":"api_error","message":"internal server error"}}`,
      )
      assert.doesNotMatch(reply, /secret/)
      const logged = lines.filter((line) => line.includes(` error unhandled request_id=${id}: `))
      assert.equal(logged.length, 1)
      assert.match(
        logged[0] ?? '',
        /TypeError: secret thing <- Error: secret cause at .*serve\.spec/,
      )
    })
  })
}

test('serve: a value thrown that is no error is a 500 too, and is not quoted', async () => {
  const odd = openRoute('/odd', () => {
    // oxlint-disable-next-line no-throw-literal, only-throw-error -- what foreign code may do
    throw 'secret'
  })
  await withGateway({ routes: [odd] }, async ({ port, lines }) => {
    assert.equal(parseReply(await get(port, '/odd')).status, 500)
    assert.ok(lines.some((line) => line.includes('a thrown string')))
    assert.ok(!lines.some((line) => line.includes('secret')))
  })
})

for (const way of ['destroy', 'end', 'resetAndDestroy'] as const) {
  test(`serve: a client that leaves (${way}) before the answer aborts the handler as gone`, async () => {
    let exchange: Exchange | undefined
    const wait = openRoute('/wait', (of) => {
      exchange = of
      return new Promise((_, reject) => {
        of.signal.addEventListener('abort', () => reject(of.signal.reason), { once: true })
      })
    })
    await withGateway({ routes: [wait] }, async ({ port, server, lines }) => {
      const wire = await open(port)
      wire.socket.write(request('GET', '/wait'))
      await eventually(() => server.openRequests === 1, 'the request is open')
      wire.socket[way]()
      await eventually(() => server.openRequests === 0, 'the request is over')
      assert.ok(exchange?.signal.reason instanceof ClientGone)
      assert.ok(lines.some((line) => line.includes(' debug client gone before an answer')))
      assert.ok(!lines.some((line) => / (warn|error) /.test(line)))
    })
  })
}

test('serve: an answer for a client that is gone is dropped: body cancelled, taps settled', async () => {
  const outcomes: string[] = []
  let cancelled: unknown
  let release = (): void => {}
  const late = openRoute('/late', async () => {
    await new Promise<void>((resolve) => (release = resolve))
    return {
      status: 200,
      headers: [],
      body: new ReadableStream({ cancel: (reason) => void (cancelled = reason) }),
      taps: [{ name: 'noted', settle: (outcome) => outcomes.push(outcome) }],
    }
  })
  await withGateway({ routes: [late] }, async ({ port, server }) => {
    const wire = await open(port)
    wire.socket.write(request('GET', '/late'))
    await eventually(() => server.openRequests === 1, 'the request is open')
    wire.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    release()
    await eventually(() => server.openRequests === 0, 'the request is over')
    assert.deepEqual(outcomes, ['client-gone'])
    assert.ok(cancelled instanceof ClientGone)
  })
})

test('serve: after its answer a request’s signal never aborts', async () => {
  let signal: Cancellation | undefined
  const look = openRoute('/look', (exchange) => {
    signal = exchange.signal
    return json(200, {})
  })
  await withGateway({ routes: [look] }, async ({ port, server }) => {
    await get(port, '/look')
    await eventually(() => server.openRequests === 0, 'the request is over')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(signal?.aborted, false)
  })
})

test('serve: handlers of one connection do not share a signal', async () => {
  const signals: Cancellation[] = []
  const look = openRoute('/look', (exchange) => {
    signals.push(exchange.signal)
    return text(200, '')
  })
  await withGateway({ routes: [look] }, async ({ port }) => {
    const wire = await open(port)
    for (const count of [1, 2]) {
      wire.socket.write(request('GET', '/look'))
      await eventually(() => signals.length === count, 'answered')
    }
    assert.notEqual(signals[0], signals[1])
    wire.socket.destroy()
  })
})
