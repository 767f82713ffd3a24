import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress, EgressRequest, EgressResponse } from '../../lib/egress/egress.ts'
import { ClientGone, DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { systemClock, type Clock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream, messageEvents, type FakeUpstream } from '../support/fake-upstream.ts'
import { listen } from '../support/listen.ts'

interface Bench {
  readonly egress: Egress
  readonly server: FakeUpstream
  /** POSTs to the server with roomy deadlines. */
  readonly send: (changes?: Partial<EgressRequest>) => Promise<EgressResponse>
}

async function withServer(
  work: (bench: Bench) => Promise<void>,
  clock: Clock = systemClock,
): Promise<void> {
  const server = await createFakeUpstream()
  const egress = createEgress({ allowLoopback: true, clock })
  const send: Bench['send'] = (changes) =>
    egress.request({
      method: 'POST',
      url: new URL(`${server.url}/v1/messages?beta=true`),
      headers: ['content-type', 'application/json'],
      body: '{"stream":true}',
      headTimeoutMs: 60_000,
      bodySilenceMs: 60_000,
      ...changes,
    })
  try {
    await work({ egress, server, send })
  } finally {
    await egress.close()
    await server.close()
  }
}

async function readAll(body: ReadableStream<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts).toString()
}

test('dispatcher: the request reaches the server byte for byte and the answer comes back so', () =>
  withServer(async ({ server, send }) => {
    const events = messageEvents('Hello wörld').join('')
    server.always({
      status: 418,
      statusText: "I'm a Teapot",
      headers: ['X-Mixed', 'Ünï', 'set-cookie', 'a=1', 'set-cookie', 'b=2'],
      body: events,
    })
    const body = Buffer.from('{ "model":"x",\n "n":1.0 }')
    const response = await send({ body, headers: ['X-Odd', 'a', 'x-odd', 'b', 'x-latin', 'é'] })
    assert.equal(response.status, 418)
    assert.equal(response.statusText, "I'm a Teapot")
    assert.equal(
      response.headers.slice(0, 6).join('|'),
      'X-Mixed|Ünï|set-cookie|a=1|set-cookie|b=2',
    )
    assert.equal(await readAll(response.body), events)
    const request = await server.request(0)
    assert.equal(request.url, '/v1/messages?beta=true')
    assert.ok(request.body.equals(body))
    const sent = request.rawHeaders.join('|')
    assert.match(sent, /X-Odd\|a\|x-odd\|b\|x-latin\|é/)
    assert.match(sent, /content-length\|25/)
  }))

test('dispatcher: a target goes out as written, where a URL would have re-escaped it', () =>
  withServer(async ({ server, send }) => {
    const target = '/v1/messages?beta=true&foo=b%20r&x=\'"<>'
    await readAll((await send({ target })).body)
    assert.equal(server.requests[0]?.url, target)
  }))

test('dispatcher: a request without a body and one with an empty body are sent', () =>
  withServer(async ({ server, send }) => {
    for (const body of [null, '', new Uint8Array(0)]) {
      await readAll((await send({ body, method: 'PUT' })).body)
    }
    assert.deepEqual(
      server.requests.map(({ body, method }) => `${method} ${body.length}`),
      ['PUT 0', 'PUT 0', 'PUT 0'],
    )
  }))

test('dispatcher: connections are kept alive and used one exchange at a time', () =>
  withServer(async ({ server, send }) => {
    for (let i = 0; i < 5; i++) await readAll((await send()).body)
    // One that has just become idle may not count as such for another turn of the event loop.
    assert.ok(server.connections <= 2, `${server.connections} connections`)
    server.always({ headAfterMs: 50, body: '{}' })
    const together = await Promise.all(Array.from({ length: 20 }, () => send()))
    await Promise.all(together.map(({ body }) => readAll(body)))
    assert.ok(server.connections >= 20 && server.connections <= 22, `${server.connections}`)
  }))

test('dispatcher: three hundred exchanges are open at once', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['first', { ending: 'stall' }] })
    const responses = await Promise.all(Array.from({ length: 300 }, () => send()))
    assert.equal(server.open, 300)
    await Promise.all(responses.map(({ body }) => body.cancel()))
  }))

test('dispatcher: redirects are answers', () =>
  withServer(async ({ server, send }) => {
    server.always({ status: 307, headers: ['location', '/elsewhere'], body: '' })
    assert.equal((await send()).status, 307)
    assert.equal(server.requests.length, 1)
  }))

test('dispatcher: an early hint before the answer is not the answer', () =>
  withServer(async ({ egress, send }) => {
    const server = createServer((_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' })
      response.writeHead(201, ['x-real', 'yes']).end('{}')
    })
    const port = await listen(server)
    const response = await send({ url: new URL(`http://127.0.0.1:${port}`) })
    assert.equal(response.status, 201)
    assert.ok(response.headers.includes('x-real') && !response.headers.includes('link'))
    assert.equal(await readAll(response.body), '{}')
    await egress.close()
    server.close()
  }))

test('dispatcher: only http and https addresses are connected to', () =>
  withServer(async ({ send }) => {
    for (const url of ['ftp://127.0.0.1/', 'file:///etc/passwd', 'data:,x']) {
      await assert.rejects(send({ url: new URL(url) }), TypeError)
    }
  }))

test('dispatcher: a header that would break the request is refused, not sent', () =>
  withServer(async ({ server, send }) => {
    await assert.rejects(send({ headers: ['x-a', 'b\r\nx-c: d'] }))
    await assert.rejects(send({ target: '/a b' }))
    assert.equal(server.requests.length, 0)
  }))

test('dispatcher: failures before the head reject with the code of the system', () =>
  withServer(async ({ egress, server, send }) => {
    server.always({ fault: 'reset-before-head' })
    await assert.rejects(send(), { code: 'ECONNRESET' })
    await assert.rejects(send({ url: new URL('http://127.0.0.1:1/') }), { code: 'ECONNREFUSED' })
    await assert.rejects(send({ url: new URL('http://nowhere.invalid/') }), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error)
      // Without any network the resolver says so instead.
      assert.match(String(error.code), /^(ENOTFOUND|EAI_AGAIN)$/)
      return true
    })
    await egress.close()
    await assert.rejects(send(), { code: 'UND_ERR_DESTROYED' })
  }))

test('dispatcher: a body cut by a reset delivers what came and then fails as broken', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['event: a\n\n', 'event: hal', { ending: 'reset' }] })
    const reader = (await send()).body.getReader()
    let text = ''
    await assert.rejects(async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += Buffer.from(part.value).toString()
      }
    }, UpstreamBroke)
    assert.equal(text, 'event: a\n\nevent: hal')
  }))

test('dispatcher: a body shorter than its Content-Length is broken, not complete', () =>
  withServer(async ({ server, send }) => {
    server.always({ headers: ['content-length', '100'], body: ['too short', { ending: 'reset' }] })
    const { body } = await send()
    await assert.rejects(readAll(body), UpstreamBroke)
  }))

test('dispatcher: a head that does not come in time fails with its deadline and frees the server', async () => {
  const clock = createFakeClock()
  await withServer(async ({ server, send }) => {
    server.always({ fault: 'stall-before-head' })
    const outcome = assert.rejects(send({ headTimeoutMs: 1_500 }), (error: unknown) => {
      assert.ok(error instanceof DeadlineExceeded)
      assert.equal(error.afterMs, 1_500)
      return true
    })
    const { closed } = await server.request(0)
    await clock.advance(1_499)
    assert.equal(server.open, 1)
    await clock.advance(1)
    await outcome
    assert.equal(await closed, 'cut')
  }, clock)
})

test('dispatcher: the deadline of the head ends with the head', async () => {
  const clock = createFakeClock()
  await withServer(async ({ server, send }) => {
    server.always({ body: ['a', { waitMs: 20 }, 'b'] })
    const { body } = await send({ headTimeoutMs: 1_000 })
    await clock.advance(5_000)
    assert.equal(await readAll(body), 'ab')
  }, clock)
})

test('dispatcher: a body that falls silent fails with its deadline after what came', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['before', { ending: 'stall' }] })
    const { body } = await send({ bodySilenceMs: 300 })
    const reader = body.getReader()
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'before')
    await assert.rejects(reader.read(), (error: unknown) => {
      assert.ok(error instanceof DeadlineExceeded)
      assert.equal(error.afterMs, 300)
      return true
    })
    assert.equal(await (await server.request(0)).closed, 'cut')
  }))

test('dispatcher: a slow reader is not taken for a silent server', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: [{ flood: 2 * 1024 * 1024 }] })
    const { body } = await send({ bodySilenceMs: 200 })
    const reader = body.getReader()
    let bytes = (await reader.read()).value?.length ?? 0
    await new Promise((resolve) => setTimeout(resolve, 700))
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length
    }
    assert.equal(bytes, 2 * 1024 * 1024)
  }))

test('dispatcher: a reader that stops holds the server back', () =>
  withServer(async ({ server, send }) => {
    const bytes = 64 * 1024 * 1024
    server.always({ body: [{ flood: bytes }] })
    const { body } = await send()
    await new Promise((resolve) => setTimeout(resolve, 300))
    // Sockets buffer some megabytes on both sides; a whole flood in memory would have finished.
    assert.equal(server.open, 1)
    let read = 0
    for await (const part of body) read += part.length
    assert.equal(read, bytes)
  }))

test('dispatcher: an abort before anything is sent sends nothing', () =>
  withServer(async ({ server, send }) => {
    await assert.rejects(send({ signal: AbortSignal.abort(new ClientGone()) }), ClientGone)
    assert.equal(server.connections, 0)
  }))

test('dispatcher: an abort while connecting rejects at once and no request arrives', () =>
  withServer(async ({ server, send }) => {
    const controller = new AbortController()
    const outcome = assert.rejects(send({ signal: controller.signal }), ClientGone)
    controller.abort(new ClientGone())
    await outcome
    await readAll((await send()).body)
    assert.equal(server.requests.length, 1)
  }))

test('dispatcher: an abort before the head closes the connection with the given reason', () =>
  withServer(async ({ server, send }) => {
    server.always({ fault: 'stall-before-head' })
    const controller = new AbortController()
    const outcome = assert.rejects(send({ signal: controller.signal }), ClientGone)
    const { closed } = await server.request(0)
    controller.abort(new ClientGone())
    await outcome
    assert.equal(await closed, 'cut')
  }))

test('dispatcher: an abort after the head fails the body at once and closes the connection', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['first', { ending: 'stall' }] })
    const controller = new AbortController()
    const { body } = await send({ signal: controller.signal })
    const reader = body.getReader()
    await reader.read()
    const outcome = assert.rejects(reader.read(), ClientGone)
    controller.abort(new ClientGone())
    await outcome
    assert.equal(await (await server.request(0)).closed, 'cut')
  }))

test('dispatcher: a cancelled body closes the connection, read from or not', () =>
  withServer(async ({ server, send }) => {
    server.always({ body: ['first', { ending: 'stall' }] })
    const { body: untouched } = await send()
    await untouched.cancel()
    assert.equal(await (await server.request(0)).closed, 'cut')
    const { body } = await send()
    const reader = body.getReader()
    await reader.read()
    await reader.cancel(new ClientGone())
    assert.equal(await (await server.request(1)).closed, 'cut')
  }))

test('dispatcher: cancelling a small body that has already come keeps the connection', () =>
  withServer(async ({ server, send }) => {
    server.always({ status: 529, body: '{"type":"error"}' })
    for (let i = 0; i < 3; i++) {
      const { body } = await send()
      await new Promise((resolve) => setTimeout(resolve, 20))
      await body.cancel()
    }
    assert.equal(server.connections, 1)
  }))

test('dispatcher: nothing stays attached to a signal that outlives the exchange', () =>
  withServer(async ({ server, send }) => {
    const { signal } = new AbortController()
    server.next(
      { body: 'whole' },
      { fault: 'reset-before-head' },
      { body: ['a', { ending: 'reset' }] },
    )
    await readAll((await send({ signal })).body)
    await assert.rejects(send({ signal }))
    await assert.rejects(readAll((await send({ signal })).body))
    await (await send({ signal })).body.cancel()
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  }))

test('dispatcher: closing ends what is open', () =>
  withServer(async ({ egress, server, send }) => {
    server.always({ body: ['first', { ending: 'stall' }] })
    const { body } = await send()
    const outcome = assert.rejects(readAll(body), UpstreamBroke)
    await egress.close()
    await outcome
  }))
