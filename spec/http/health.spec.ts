import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReadyz, handleHealthz } from '../../lib/http/health.ts'
import { makeExchange } from '../support/exchange.ts'
import { get, parseReply, request, send, withGateway } from './gateway-under-test.ts'

test('health: /healthz is ok while the process answers', async () => {
  const reply = await handleHealthz(makeExchange())
  assert.deepEqual([reply.status, reply.body], [200, 'ok'])
})

test('health: /readyz is ready, or says what is not and when to ask again', async () => {
  const ready = await createReadyz(() => null)(makeExchange())
  assert.deepEqual([ready.status, ready.body], [200, 'ready'])
  const waiting = await createReadyz(() => Promise.resolve('store unavailable'))(makeExchange())
  assert.deepEqual([waiting.status, waiting.body], [503, 'store unavailable'])
  assert.ok(waiting.headers.some(([name, value]) => name === 'retry-after' && Number(value) > 0))
})

test('health: both probes answer GET, and HEAD with the same head and no body', async () => {
  await withGateway({}, async ({ port }) => {
    for (const [path, body] of [
      ['/healthz', 'ok'],
      ['/readyz', 'ready'],
    ] as const) {
      const got = parseReply(await get(port, path))
      assert.deepEqual([got.status, got.body], [200, body])
      const head = parseReply(await send(port, request('HEAD', path, 'Connection: close')))
      assert.deepEqual([head.status, head.body], [200, ''])
      const names = (reply: typeof head): string[] => reply.headers.map(([name]) => name)
      assert.deepEqual(names(head), names(got))
      assert.ok(
        head.headers.some(
          ([name, value]) => name === 'Content-Length' && value === String(body.length),
        ),
      )
    }
  })
})

test('health: other methods and spellings of a probe’s path are nothing special', async () => {
  await withGateway({}, async ({ port }) => {
    for (const [method, path] of [
      ['POST', '/healthz'],
      ['OPTIONS', '/readyz'],
      ['GET', '/healthz/'],
      ['GET', '//healthz'],
      ['GET', '/HEALTHZ'],
      ['GET', '/%68ealthz'],
      ['GET', '/healthz;a'],
    ] as const) {
      const reply = parseReply(await send(port, request(method, path, 'Connection: close')))
      assert.equal(reply.status, 401, `${method} ${path}`)
    }
  })
})

test('health: probes are answered whatever limits a request breaks', async () => {
  const limits = { max_request_bytes: 10, max_request_header_bytes: 100, max_url_length: 100 }
  await withGateway({ limits }, async ({ port }) => {
    assert.equal(parseReply(await get(port, `/healthz?${'a'.repeat(200)}`)).status, 200)
    assert.equal(parseReply(await get(port, '/healthz', `X-Big: ${'a'.repeat(200)}`)).status, 200)
    const long = request('GET', '/readyz', 'Content-Length: 11', 'Connection: close')
    assert.equal(parseReply(await send(port, `${long}${'a'.repeat(11)}`)).status, 200)
    const chunked = request('GET', '/readyz', 'Transfer-Encoding: chunked', 'Connection: close')
    assert.equal(parseReply(await send(port, `${chunked}0\r\n\r\n`)).status, 200)
  })
})
