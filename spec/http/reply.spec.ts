import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reply } from '../../lib/http/exchange.ts'
import { errorReply, html, json, noStore, redirect, text } from '../../lib/http/reply.ts'
import { type ErrorCode, errorTable, GatewayError } from '../../lib/kernel/errors.ts'

function bodyOf({ body }: Reply): string {
  assert.ok(typeof body === 'string')
  return body
}

test('reply: JSON, text and pages carry the media types clients compare', () => {
  assert.deepEqual(json(200, { a: [1] }, noStore), {
    status: 200,
    headers: [
      ['Cache-Control', 'no-store'],
      ['Pragma', 'no-cache'],
      ['Content-Type', 'application/json;charset=utf-8'],
    ],
    body: '{"a":[1]}',
  })
  assert.deepEqual(text(503, 'store unavailable', [['retry-after', '5']]), {
    status: 503,
    headers: [
      ['retry-after', '5'],
      ['content-type', 'text/plain;charset=utf-8'],
    ],
    body: 'store unavailable',
  })
  assert.deepEqual(html(200, '<p>', [['Cache-Control', 'no-store']]), {
    status: 200,
    headers: [
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Cache-Control', 'no-store'],
    ],
    body: '<p>',
  })
})

test('reply: a redirect has no body', () => {
  assert.deepEqual(redirect('https://idp.example/authorize', [['set-cookie', 'a=1']]), {
    status: 302,
    headers: [
      ['set-cookie', 'a=1'],
      ['Location', 'https://idp.example/authorize'],
    ],
    body: null,
  })
})

test('reply: a refusal of the Messages API names its request, keys in their order', () => {
  const reply = errorReply(new GatewayError('session/invalid-token'), 'id-1')
  assert.equal(reply.status, 401)
  assert.equal(
    reply.body,
    '{"type":"error","request_id":"id-1","error":{"type":"authentication_error","message":"invalid token"}}',
  )
  assert.deepEqual(reply.headers, [
    ['x-should-retry', 'false'],
    ['Content-Type', 'application/json;charset=utf-8'],
  ])
})

test('reply: a refusal of a token request is its error alone, and is never stored', () => {
  const reply = errorReply(new GatewayError('oauth/slow-down'), 'id-1')
  assert.equal(reply.status, 429)
  assert.equal(reply.body, '{"error":"slow_down"}')
  assert.deepEqual(reply.headers, [
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
    ['retry-after', '5'],
    ['Content-Type', 'application/json;charset=utf-8'],
  ])
})

test('reply: a plain refusal is its text', () => {
  const reply = errorReply(new GatewayError('http/payload-too-large'), 'id-1')
  assert.deepEqual(reply, text(413, 'payload too large'))
})

test('reply: message and wait can be the case’s own, detail and cause stay inside', () => {
  const error = new GatewayError('store/unavailable', {
    message: 'try later',
    detail: 'secret detail',
    cause: new Error('secret cause'),
    retryAfterSeconds: 7,
  })
  const reply = errorReply(error, 'id-1')
  assert.ok(reply.headers.some(([name, value]) => name === 'retry-after' && value === '7'))
  assert.ok(bodyOf(reply).includes('"message":"try later"'))
  assert.doesNotMatch(JSON.stringify(reply), /secret/)
})

test('reply: every row of the error table has a wire form with its own text', () => {
  const codes = Object.keys(errorTable) as ErrorCode[] // the table's keys are the codes
  assert.ok(codes.length > 10)
  for (const code of codes) {
    const row = errorTable[code]
    const reply = errorReply(new GatewayError(code), 'id-1')
    assert.equal(reply.status, row.status, code)
    assert.ok(bodyOf(reply).includes(row.form === 'oauth' ? (row.type ?? '?') : row.message))
    const waits = reply.headers.some(([name]) => name === 'retry-after')
    if (row.status === 429 || row.status === 503) assert.ok(waits, `${code} says when to retry`)
  }
})
