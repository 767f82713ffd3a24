/** The prices clients are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInModels } from '../../lib/catalogue/models.ts'
import { modelPricing, type PushedPricing } from '../../lib/policy/model-pricing.ts'

const row = (upstream: string, model: string, rate: number) => ({
  upstream,
  model,
  input: rate,
  output: rate,
  cache_read: rate,
  cache_write: rate,
})
/** u1 is asked first for built-ins, u2 serves `mine`, nobody serves `zzz`. */
const first = (model: string): string | undefined =>
  model === 'zzz' ? undefined : model === 'mine' ? 'u2' : 'u1'
const push = (pricing: PushedPricing | undefined) => modelPricing(pricing, builtInModels, first)

test('model pricing: per model the row of the upstream asked first, under the listed id', () => {
  const overrides = [
    row('u2', 'claude-opus-5', 2),
    row('u1', 'us.anthropic.claude-opus-5', 1),
    row('u2', 'claude-haiku-4-5', 3),
    row('u2', 'mine', 4),
    row('u1', 'zzz', 5),
    row('u1', 'CLAUDE-sonnet-4-5@20250929', 6),
  ]
  const rates = (rate: number) => ({ input: rate, output: rate, cacheRead: rate, cacheWrite: rate })
  assert.deepEqual(push({ multiplier: 1, overrides }), {
    overrides: {
      'claude-opus-5': rates(1),
      mine: rates(4),
      'claude-sonnet-4-5-20250929': rates(6),
    },
  })
})

test('model pricing: a multiplier alone is pushed alone', () => {
  assert.deepEqual(push({ multiplier: 0.85, overrides: [] }), { multiplier: 0.85 })
})

test('model pricing: nothing to say is not said', () => {
  assert.equal(push(undefined), null)
  assert.equal(push({ multiplier: 1, overrides: [] }), null)
  assert.equal(push({ multiplier: 1, overrides: [row('u1', 'zzz', 1)] }), null)
})

test('model pricing: of two rows for one model the first counts', () => {
  const overrides = [row('u1', 'claude-opus-5', 1), row('u1', 'CLAUDE-opus-5', 2)]
  const pushed = push({ multiplier: 2, overrides })
  assert.deepEqual(pushed?.['overrides'], {
    'claude-opus-5': { input: 1, output: 1, cacheRead: 1, cacheWrite: 1 },
  })
})
