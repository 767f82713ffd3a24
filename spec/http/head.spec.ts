import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeaderList } from '../../lib/http/exchange.ts'
import { composeHead, type HeadOptions } from '../../lib/http/head.ts'

const compose = (headers: HeaderList, options: Partial<HeadOptions> = {}): [string, string][] => {
  const flat = composeHead(headers, {
    requestId: 'id-1',
    hsts: false,
    closes: false,
    contentLength: null,
    ...options,
  })
  return Array.from({ length: flat.length / 2 }, (_, at) => [
    flat[2 * at] ?? '',
    flat[2 * at + 1] ?? '',
  ])
}

const fixed = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
]

test('head: every reply carries the fixed headers in their order, then its id', () => {
  assert.deepEqual(compose([]), [...fixed, ['x-request-id', 'id-1']])
})

test('head: what the route says comes first, what the reply says of itself before its id', () => {
  assert.deepEqual(
    compose([
      ['set-cookie', 'a=1'],
      ['x-should-retry', 'false'],
      ['Cache-Control', 'no-store'],
      ['retry-after', '5'],
      ['Content-Type', 'application/json;charset=utf-8'],
    ]),
    [
      ['set-cookie', 'a=1'],
      ['Cache-Control', 'no-store'],
      ['Content-Type', 'application/json;charset=utf-8'],
      ...fixed,
      ['x-should-retry', 'false'],
      ['retry-after', '5'],
      ['x-request-id', 'id-1'],
    ],
  )
})

test('head: the media type of text comes last, as clients have always seen it', () => {
  assert.deepEqual(compose([['content-type', 'text/plain;charset=utf-8']]).slice(-2), [
    ['x-request-id', 'id-1'],
    ['content-type', 'text/plain;charset=utf-8'],
  ])
})

test('head: repeated headers stay repeated', () => {
  const cookies: HeaderList = [
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ]
  assert.deepEqual(compose(cookies).slice(0, 2), cookies)
})

test('head: HSTS is said only where the gateway itself speaks TLS', () => {
  assert.deepEqual(compose([], { hsts: true }), [
    ...fixed,
    ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
    ['x-request-id', 'id-1'],
  ])
})

test('head: length and closing are said when known', () => {
  assert.deepEqual(compose([], { closes: true, contentLength: 0 }).slice(-2), [
    ['Connection', 'close'],
    ['Content-Length', '0'],
  ])
})

test('head: framing and connection headers of an upstream never get through', () => {
  const foreign: HeaderList = [
    ['Content-Length', '5'],
    ['content-length', '5'],
    ['Transfer-Encoding', 'chunked'],
    ['transfer-encoding', 'gzip'],
    ['Connection', 'keep-alive'],
    ['KEEP-ALIVE', 'timeout=5'],
    ['keep-alive', 'timeout=5'],
    ['Accept-Patch', 'x'],
  ]
  assert.deepEqual(compose(foreign), [['Accept-Patch', 'x'], ...fixed, ['x-request-id', 'id-1']])
})
