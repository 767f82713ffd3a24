import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProtocolPage } from '../../lib/page/protocol.ts'
import { makeExchange } from '../support/exchange.ts'

const reply = await createProtocolPage()(makeExchange())
const text = typeof reply.body === 'string' ? reply.body : ''

test('protocol page: it is markdown', () => {
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.headers, [['Content-Type', 'text/markdown; charset=utf-8']])
  assert.match(text, /^# /)
})

test('protocol page: it says that the project is independent', () => {
  assert.match(text, /independent/)
  assert.match(text, /neither made nor endorsed by Anthropic/)
})

test('protocol page: every endpoint of a client is on it', () => {
  for (const path of [
    '/.well-known/oauth-authorization-server',
    '/oauth/device_authorization',
    '/oauth/token',
    '/oauth/revoke',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/models',
    '/managed/settings',
    '/user/bootstrap',
    '/api/oauth/usage',
    '/v1/metrics',
    '/v1/logs',
    '/v1/traces',
    '/healthz',
    '/readyz',
  ]) {
    assert.ok(text.includes(path), path)
  }
})

test('protocol page: the spending headers and the 429 are described', () => {
  for (const word of ['anthropic-ratelimit-unified-status', 'billing_error', 'retry-after']) {
    assert.ok(text.includes(word), word)
  }
})

test('protocol page: the JSON on it is JSON', () => {
  const samples = [...text.matchAll(/```json\n([^`]*)```/g)]
  assert.equal(samples.length, 2)
  for (const [, sample = ''] of samples) assert.equal(typeof JSON.parse(sample), 'object')
})
