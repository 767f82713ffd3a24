import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toCents } from '../../lib/spend/amount.ts'
import { estimate } from '../../lib/spend/estimate.ts'
import { priceOf } from '../../lib/spend/price.ts'
import { bookOf } from '../support/rate-book.ts'
import { usageWith } from '../support/usage.ts'

const book = bookOf({})
const sonnet = { upstream: 'a', sent: 'claude-sonnet-4-6', asked: 'claude-sonnet-4-6' }
const opus = { upstream: 'b', sent: 'claude-opus-4-8', asked: 'claude-sonnet-4-6' }

test('estimate: the body as the dearest input, and all the output that is allowed', () => {
  // 3000 bytes are at most 1000 tokens, at 6 USD per million as one-hour cache writes.
  const amount = estimate({ bodyBytes: 3000, maxTokens: 1000, routes: [sonnet] }, book)
  assert.equal(toCents(amount), 0.6 + 1.5)
})

test('estimate: the dearest of the upstreams that may answer counts', () => {
  const one = estimate({ bodyBytes: 300, maxTokens: 10, routes: [sonnet] }, book)
  const both = estimate({ bodyBytes: 300, maxTokens: 10, routes: [sonnet, opus] }, book)
  assert.ok(both > one)
})

test('estimate: without a usable max_tokens the longest answer counts', () => {
  const longest = estimate({ bodyBytes: 30, maxTokens: 1e9, routes: [sonnet] }, book)
  for (const maxTokens of [undefined, null, '10', 0, -5, Number.NaN]) {
    assert.equal(estimate({ bodyBytes: 30, maxTokens, routes: [sonnet] }, book), longest)
  }
})

test('estimate: is not below what such a call can cost', () => {
  const tariff = book.find(sonnet) ?? book.unknown
  const most = priceOf(
    usageWith({
      cache_creation_input_tokens: 500,
      ephemeral_1h_input_tokens: 500,
      output_tokens: 64,
    }),
    tariff,
  )
  assert.ok(estimate({ bodyBytes: 1500, maxTokens: 64, routes: [sonnet] }, book) >= most)
})
