import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listPrices } from '../../lib/catalogue/prices.ts'
import { toCents } from '../../lib/spend/amount.ts'
import { estimate } from '../../lib/spend/estimate.ts'
import { priceOf } from '../../lib/spend/price.ts'
import { createRandom } from '../support/random.ts'
import { bookOf } from '../support/rate-book.ts'
import { usageWith } from '../support/usage.ts'

const book = bookOf({})
const sonnet = { upstream: 'a', sent: 'claude-sonnet-4-6', asked: 'claude-sonnet-4-6' }
const opus = { upstream: 'b', sent: 'claude-opus-4-8', asked: 'claude-sonnet-4-6' }
const text = (tokens: number) => ({ tokens, searches: 0 })

test('estimate: the input as the dearest kind, all the output and searches that are allowed', () => {
  // 1000 tokens at 6 USD per million as one-hour cache writes, and two searches of a cent.
  const input = { tokens: 1000, searches: 2 }
  const amount = estimate({ input, maxTokens: 1000, routes: [sonnet] }, book)
  assert.equal(toCents(amount), 0.6 + 1.5 + 2)
})

test('estimate: the dearest of the upstreams that may answer counts', () => {
  const one = estimate({ input: text(300), maxTokens: 10, routes: [sonnet] }, book)
  const both = estimate({ input: text(300), maxTokens: 10, routes: [sonnet, opus] }, book)
  assert.ok(both > one)
})

test('estimate: without a usable max_tokens the longest answer counts', () => {
  const longest = estimate({ input: text(30), maxTokens: 1e9, routes: [sonnet] }, book)
  for (const maxTokens of [undefined, null, '10', 0, -5, Number.NaN]) {
    assert.equal(estimate({ input: text(30), maxTokens, routes: [sonnet] }, book), longest)
  }
})

test('estimate: long prices count only for what may be long', () => {
  const haiku = { upstream: 'a', sent: 'claude-haiku-5-5', asked: 'claude-haiku-5-5' }
  const of = (tokens: number) =>
    estimate({ input: text(tokens), maxTokens: 1, routes: [haiku] }, book)
  assert.ok(of(100_001) > 4n * of(100_000))
})

test('estimate: no call of any model costs more, whatever its tokens are and how it is served', () => {
  const random = createRandom()
  for (const { name } of listPrices) {
    const route = { upstream: 'a', sent: name, asked: name }
    const tariff = book.find(route)
    assert.ok(tariff !== null, name)
    for (let round = 0; round < 200; round++) {
      const tokens = random.below(random.chance(50) ? 300 : 1_000_000)
      const searches = random.below(4)
      const maxTokens = 1 + random.below(64_000)
      const cached = random.below(tokens + 1)
      const written = random.below(cached + 1)
      const usage = usageWith({
        input_tokens: tokens - cached,
        cache_read_input_tokens: cached - written,
        cache_creation_input_tokens: written,
        ephemeral_1h_input_tokens: random.below(written + 1),
        output_tokens: random.below(maxTokens + 1),
        web_search_requests: random.below(searches + 1),
        speed: random.chance(50) ? 'fast' : 'standard',
      })
      const most = estimate({ input: { tokens, searches }, maxTokens, routes: [route] }, book)
      assert.ok(priceOf(usage, tariff) <= most, `${name}, seed ${random.seed}`)
    }
  }
})
