import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOriginOf, isSameOrigin } from '../../lib/identity/origin.ts'
import { makeExchange } from '../support/exchange.ts'

const origin = 'https://gw.example.com'
const same = (headers: Record<string, string>): boolean => isSameOrigin({ headers }, origin)

test('origin: public_url decides, whatever the request says', () => {
  const originOf = createOriginOf(origin, false)
  const headers = { host: 'evil', 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'http' }
  assert.equal(originOf(makeExchange({ headers })), origin)
})

test('origin: without public_url it is the Host header, forwarded ones still ignored', () => {
  const headers = { host: 'localhost:9310', 'x-forwarded-host': 'evil' }
  assert.equal(createOriginOf(undefined, false)(makeExchange({ headers })), 'http://localhost:9310')
  assert.equal(createOriginOf(undefined, true)(makeExchange({ headers })), 'https://localhost:9310')
  assert.equal(
    createOriginOf(undefined, false)(makeExchange({ headers: { host: '[::1]:80' } })),
    'http://[::1]:80',
  )
})

test('origin: a Host that is no host is refused', () => {
  for (const host of ['', 'a b', 'a/b', 'a"b', 'user@host', 'a:1:2', 'a:x', 'ä.example']) {
    assert.throws(() => createOriginOf(undefined, false)(makeExchange({ headers: { host } })), {
      code: 'http/bad-request',
    })
  }
})

test('same origin: Sec-Fetch-Site is believed, and Origin then ignored', () => {
  assert.equal(same({ 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }), true)
  assert.equal(same({ 'sec-fetch-site': 'same-origin', origin: 'null' }), true)
  assert.equal(same({ 'sec-fetch-site': 'none' }), true)
  assert.equal(same({ 'sec-fetch-site': 'cross-site', origin }), false)
  assert.equal(same({ 'sec-fetch-site': 'same-site', origin }), false)
  assert.equal(same({ 'sec-fetch-site': '', origin }), false)
  assert.equal(same({ 'sec-fetch-site': 'SAME-ORIGIN', origin }), false)
})

test('same origin: without it the Origin must be ours, byte for byte', () => {
  assert.equal(same({ origin }), true)
  for (const other of [
    '',
    'null',
    `${origin}/`,
    'https://GW.example.com',
    'http://gw.example.com',
    'https://gw.example.com:8443',
    'https://evil.example',
  ]) {
    assert.equal(same({ origin: other }), false, other)
  }
})

test('same origin: a Referer proves nothing, and silence is no proof', () => {
  assert.equal(same({ referer: `${origin}/device` }), false)
  assert.equal(same({}), false)
})
