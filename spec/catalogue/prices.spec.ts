/** The list prices are those that were measured, model by model and tier by tier. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInModels } from '../../lib/catalogue/models.ts'
import { listPrices, type Rates, unknownPrice, webSearchPrice } from '../../lib/catalogue/prices.ts'
import { readTable } from '../support/tsv.ts'

const byName = new Map(listPrices.map((price) => [price.name, price]))
const measured = readTable('spend/prices.tsv').filter(({ route }) => route !== 'anthropic-custom')

test('prices: every measured tier of every model is the measured one', () => {
  assert.equal(measured.length, 24)
  for (const row of measured) {
    const name = row['model_sent'] ?? ''
    const price = byName.get(name)
    assert.ok(price, name)
    const { long = price, fast = price } = price
    const found = {
      'in_$/M': price.input,
      'out_$/M': price.output,
      cache_write_5m: price.cacheWrite5m,
      cache_write_1h: price.cacheWrite1h,
      cache_write_nobreakdown: price.cacheWrite5m,
      cache_read: price.cacheRead,
      'in_250k_total_$/M': long.input,
      out_at_250k: long.output,
      websearch_each_$: webSearchPrice,
      fast_in: fast.input,
      fast_out: fast.output,
    }
    for (const [column, rate] of Object.entries(found)) {
      assert.equal(rate, Number(row[column]), `${name} ${column}`)
    }
  }
})

test('prices: every built-in model has one row', () => {
  assert.equal(byName.size, listPrices.length)
  for (const { name } of builtInModels) assert.ok(byName.has(name), name)
})

test('prices: cache writes cost 1.25 and 2 times the input, in every tier', () => {
  const tiers = listPrices.flatMap(({ fast, long, ...normal }): Rates[] =>
    [normal, fast, long].flatMap((rates) => rates ?? []),
  )
  assert.ok(tiers.length > listPrices.length)
  for (const { input, output, cacheWrite5m, cacheWrite1h, cacheRead } of [...tiers, unknownPrice]) {
    assert.equal(cacheWrite5m, input * 1.25)
    assert.equal(cacheWrite1h, input * 2)
    assert.equal(output, input * 5)
    assert.ok(cacheRead < input)
  }
})

test('prices: an unknown model costs 5 and 25 USD', () => {
  assert.deepEqual([unknownPrice.input, unknownPrice.output], [5, 25])
})
