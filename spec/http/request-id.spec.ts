import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adoptClientRequestId } from '../../lib/http/request-id.ts'
import { text } from '../../lib/http/reply.ts'
import { makeExchange } from '../support/exchange.ts'
import { get, openRoute, parseReply, withGateway } from './gateway-under-test.ts'

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

function adopted(id: string): string {
  const exchange = makeExchange({ requestId: 'own', headers: { 'x-client-request-id': id } })
  adoptClientRequestId(exchange)
  return exchange.requestId
}

test('request id: a well-formed id of the client is taken', () => {
  for (const id of ['a', 'req_01.A-b', 'x'.repeat(64)]) assert.equal(adopted(id), id)
})

test('request id: anything else leaves the gateway’s own', () => {
  for (const id of ['', 'x'.repeat(65), 'a b', 'a\n', 'ä', 'a;b', 'a/b', '"']) {
    assert.equal(adopted(id), 'own', JSON.stringify(id))
  }
  const exchange = makeExchange({ requestId: 'own' })
  adoptClientRequestId(exchange)
  assert.equal(exchange.requestId, 'own')
})

test('request id: each reply names its own, and ids of proxies are ignored', async () => {
  const ids = new Set<string>()
  await withGateway({}, async ({ port }) => {
    for (const header of [
      'X-Request-Id: theirs',
      'Request-Id: theirs',
      'X-Client-Request-Id: theirs',
    ]) {
      const { headers } = parseReply(await get(port, '/healthz', header))
      const id = headers.find(([name]) => name === 'x-request-id')?.[1] ?? ''
      assert.match(id, uuid4)
      ids.add(id)
    }
  })
  assert.equal(ids.size, 3)
})

test('request id: a route that takes the client’s id answers with it', async () => {
  const route = openRoute('/take', (exchange) => {
    adoptClientRequestId(exchange)
    return text(200, exchange.requestId)
  })
  await withGateway({ routes: [route] }, async ({ port }) => {
    const { headers, body } = parseReply(await get(port, '/take', 'x-client-request-id: mine.1'))
    assert.equal(body, 'mine.1')
    assert.ok(headers.some(([name, value]) => name === 'x-request-id' && value === 'mine.1'))
  })
})
