import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLimitCheck, headBytesMax } from '../../lib/http/limits.ts'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { type ExchangeFacts, makeServedExchange } from './served-exchange-parts.ts'

function verdict(check: ReturnType<typeof createLimitCheck>, facts: ExchangeFacts): string {
  try {
    check(makeServedExchange(facts))
    return 'passes'
  } catch (error) {
    assert.ok(error instanceof GatewayError)
    return error.code
  }
}

test('limits: a body as long as allowed passes, one byte more does not', () => {
  const check = createLimitCheck({ max_request_bytes: 1000 })
  assert.equal(verdict(check, {}), 'passes')
  assert.equal(verdict(check, { headers: { 'content-length': '0' } }), 'passes')
  assert.equal(verdict(check, { headers: { 'content-length': '1000' } }), 'passes')
  const longer = { headers: { 'content-length': '1001' } }
  assert.equal(verdict(check, longer), 'http/payload-too-large')
  const huge = { headers: { 'content-length': '99999999999' } }
  assert.equal(verdict(check, huge), 'http/payload-too-large')
})

test('limits: a body of unannounced length is refused', () => {
  const check = createLimitCheck({ max_request_bytes: 1000 })
  const chunked = { headers: { 'transfer-encoding': 'chunked' } }
  assert.equal(verdict(check, chunked), 'http/length-required')
})

test('limits: the URL is counted with its scheme and host', () => {
  const check = createLimitCheck({ max_request_bytes: 1000, max_url_length: 30 })
  const url = (query: string): ExchangeFacts => ({
    headers: { host: 'h.test' }, // http://h.test is 13 characters
    path: '/v1/models', // 10
    query,
  })
  assert.equal(verdict(check, url('?123456')), 'passes')
  assert.equal(verdict(check, url('?1234567')), 'http/uri-too-long')
})

test('limits: without a limit any URL the parser takes passes', () => {
  const check = createLimitCheck({ max_request_bytes: 1000 })
  assert.equal(verdict(check, { query: `?${'a'.repeat(100_000)}` }), 'passes')
})

test('limits: the header section is bounded, and a setting can only lower the bound', () => {
  const builtIn = createLimitCheck({ max_request_bytes: 1000 })
  assert.equal(verdict(builtIn, { headBytes: headBytesMax }), 'passes')
  assert.equal(verdict(builtIn, { headBytes: headBytesMax + 1 }), 'http/headers-too-large')
  const lowered = createLimitCheck({ max_request_bytes: 1000, max_request_header_bytes: 2000 })
  assert.equal(verdict(lowered, { headBytes: 2000 }), 'passes')
  assert.equal(verdict(lowered, { headBytes: 2001 }), 'http/headers-too-large')
  const raised = createLimitCheck({ max_request_bytes: 1000, max_request_header_bytes: 999_999 })
  assert.equal(verdict(raised, { headBytes: headBytesMax + 1 }), 'http/headers-too-large')
})

test('limits: of several broken limits the first in order is told', () => {
  const check = createLimitCheck({
    max_request_bytes: 10,
    max_request_header_bytes: 10,
    max_url_length: 10,
  })
  const facts = {
    headers: { host: 'h.test', 'transfer-encoding': 'chunked', 'content-length': '11' },
    path: '/v1/models',
    headBytes: 11,
  }
  assert.equal(verdict(check, facts), 'http/uri-too-long')
  const fits = { ...facts, path: '/', headers: { ...facts.headers, host: '' } }
  assert.equal(verdict(check, fits), 'http/length-required')
  const announced = { ...fits, headers: { host: '', 'content-length': '11' } }
  assert.equal(verdict(check, announced), 'http/payload-too-large')
  assert.equal(verdict(check, { ...announced, headers: { host: '' } }), 'http/headers-too-large')
})
