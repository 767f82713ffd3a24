/** Which rates a reply is charged at, out of every source of prices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toCents } from '../../lib/spend/amount.ts'
import type { RateBook } from '../../lib/spend/rate-book.ts'
import { bookOf, override, priceRow } from '../support/rate-book.ts'
import { readTable } from '../support/tsv.ts'

/** The input rate in USD per million tokens; null without a price. */
function inputRate(book: RateBook, sent: string, asked = 'x0', upstream = 'anthropic') {
  const tariff = book.find({ upstream, sent, asked })
  return tariff === null ? null : toCents(tariff.normal.input * 10_000n)
}

const unknownRate = 5

test('rate book: a model is recognised in every measured spelling, and in no other', () => {
  const rows = readTable('spend/price-recognition.tsv')
  assert.equal(rows.length, 37)
  const book = bookOf()
  for (const { upstream_model_string: sent = '', input_usd_per_million } of rows) {
    const rate = inputRate(book, sent) ?? unknownRate
    assert.equal(rate, Number(input_usd_per_million), sent)
  }
})

test('rate book: a mapped id costs what is sent; if nobody knows that, what was asked for', () => {
  const rows = readTable('spend/prices.tsv').filter(({ route }) => route === 'anthropic-custom')
  assert.equal(rows.length, 26)
  const book = bookOf()
  for (const row of rows) {
    const rate = inputRate(book, row['upstream_model'] ?? '', row['model_sent']) ?? unknownRate
    assert.equal(rate, Number(row['in_$/M']), row['upstream_model'])
  }
  assert.equal(inputRate(book, 'claude-haiku-4-5', 'claude-opus-4-8'), 1)
})

test('rate book: without a price there is none, and the unknown tier stands ready', () => {
  const book = bookOf()
  assert.equal(inputRate(book, 'opus', 'x22'), null)
  assert.equal(inputRate(book, 'claude-haiku-4-5'.repeat(100)), null)
  assert.equal(toCents(book.unknown.normal.input * 10_000n), 5)
  assert.equal(toCents(book.unknown.normal.output * 10_000n), 25)
})

test('rate book: rows for what is sent beat rows for what is asked, and those the model', () => {
  const sent = 'us.anthropic.claude-opus-4-8'
  const rows = [
    override('anthropic', sent.toUpperCase(), 11),
    override('anthropic', 'My-Opus', 12),
    override('anthropic', 'claude-opus-4-8', 13),
  ]
  const rates = rows.map((_, count) => bookOf({ overrides: rows.slice(count) }))
  assert.deepEqual(
    rates.map((book) => inputRate(book, sent, 'my-opus')),
    [11, 12, 13],
  )
  assert.equal(inputRate(bookOf(), sent, 'my-opus'), 5)
})

test('rate book: a row for a built-in is for all its spellings, not for its neighbours', () => {
  const book = bookOf({ overrides: [override('anthropic', 'us.anthropic.claude-opus-4-8', 11)] })
  for (const sent of [
    'claude-opus-4-8',
    'CLAUDE-OPUS-4-8',
    'my-claude-opus-4-8-deploy',
    'claude-opus-4-8@default',
  ]) {
    assert.equal(inputRate(book, sent), 11, sent)
  }
  assert.equal(inputRate(book, 'arn:aws:bedrock:x', 'claude-opus-4-8'), 11)
  assert.equal(inputRate(book, 'claude-opus-4-7'), 5)
  assert.equal(inputRate(book, 'claude-opus-4-9'), null)
})

test('rate book: a row is for its upstream alone', () => {
  const book = bookOf({ overrides: [override('bedrock', 'claude-opus-4-8', 11)] })
  assert.equal(inputRate(book, 'claude-opus-4-8', 'x', 'anthropic'), 5)
  assert.equal(inputRate(book, 'claude-opus-4-8', 'x', 'bedrock'), 11)
})

test('rate book: a row for an id of one’s own leaves the model it holds alone', () => {
  const book = bookOf({
    overrides: [override('anthropic', 'my-claude-opus-4-8-deploy', 11)],
    prices: [priceRow('my-claude-haiku-4-5-deploy', 12)],
  })
  assert.equal(inputRate(book, 'my-claude-opus-4-8-deploy'), 11)
  assert.equal(inputRate(book, 'claude-opus-4-8'), 5)
  assert.equal(inputRate(book, 'My-Claude-Haiku-4-5-Deploy'), 12)
  assert.equal(inputRate(book, 'claude-haiku-4-5'), 1)
})

test('rate book: overrides are flat: an hour in the cache costs the same, fast and long too', () => {
  const book = bookOf({
    overrides: [
      override('anthropic', 'claude-haiku-5-5', 1),
      override('anthropic', 'claude-opus-4-8', 1),
    ],
  })
  for (const sent of ['claude-haiku-5-5', 'claude-opus-4-8']) {
    const tariff = book.find({ upstream: 'anthropic', sent, asked: sent })
    assert.ok(tariff)
    assert.equal(tariff.normal.cacheWrite1h, tariff.normal.cacheWrite5m)
    assert.equal(tariff.fast, null)
    assert.equal(tariff.long, null)
  }
})

test('rate book: an added price gives a model one, in every spelling, on every upstream', () => {
  const book = bookOf({ prices: [priceRow('claude-opus-6', 7)] })
  for (const sent of ['claude-opus-6', 'us.anthropic.claude-opus-6-v1:0', 'CLAUDE-OPUS-6-latest']) {
    assert.equal(inputRate(book, sent), 7, sent)
  }
  assert.equal(inputRate(book, 'claude-opus-6-1'), null)
  assert.equal(inputRate(bookOf(), 'claude-opus-6'), null)
})

test('rate book: an added price corrects the list, and is corrected by an override', () => {
  const prices = [priceRow('us.anthropic.claude-opus-4-8', 7)]
  assert.equal(inputRate(bookOf({ prices }), 'claude-opus-4-8'), 7)
  const overrides = [override('anthropic', 'claude-opus-4-8', 8)]
  assert.equal(inputRate(bookOf({ prices, overrides }), 'claude-opus-4-8'), 8)
  // Still the price of what is sent, not of what was asked for.
  assert.equal(inputRate(bookOf({ prices }), 'claude-haiku-4-5', 'claude-opus-4-8'), 1)
})

test('rate book: an added model is priced by any of its forms', () => {
  const models = [{ id: 'Mine', forms: { anthropic: 'mine-1', bedrock: 'arn:mine' } }]
  const book = bookOf({ models, prices: [priceRow('mine', 7)] })
  for (const sent of ['mine', 'MINE-1', 'arn:mine']) assert.equal(inputRate(book, sent), 7, sent)
  const hidden = [{ id: 'claude-opus-4-8-ours', forms: { anthropic: 'claude-opus-4-8-ours' } }]
  const other = bookOf({ models: hidden, prices: [priceRow('claude-opus-4-8-ours', 7)] })
  assert.equal(inputRate(other, 'claude-opus-4-8-ours'), 7)
  assert.equal(inputRate(other, 'claude-opus-4-8'), 5)
  assert.equal(inputRate(bookOf({ models: hidden }), 'claude-opus-4-8-ours'), 5)
})

test('rate book: an added price of a private id counts for what is sent and what is asked', () => {
  const book = bookOf({ prices: [priceRow('prod-a', 7), priceRow('asked', 8)] })
  assert.equal(inputRate(book, 'PROD-A', 'asked'), 7)
  assert.equal(inputRate(book, 'claude-opus-4-8', 'asked'), 8)
})

test('rate book: an added price may name the hour in the cache', () => {
  const find = (row: ReturnType<typeof priceRow>) => {
    const tariff = bookOf({ prices: [row] }).find({ upstream: 'a', sent: 'm', asked: 'm' })
    assert.ok(tariff)
    return tariff.normal
  }
  const plain = find(priceRow('m', 1))
  assert.equal(plain.cacheWrite1h, plain.cacheWrite5m)
  const named = find({ ...priceRow('m', 1), cache_write_1h: 9 })
  assert.equal(named.cacheWrite1h, named.input * 9n)
})

test('rate book: the multiplier is on everything', () => {
  const config = {
    overrides: [override('anthropic', 'own', 1)],
    prices: [priceRow('added', 1)],
  }
  const plain = bookOf(config)
  const half = bookOf({ ...config, multiplier: 0.5 })
  for (const sent of ['own', 'added', 'claude-haiku-5-5', 'claude-opus-5-5', 'nobody knows it']) {
    const served = { upstream: 'anthropic', sent, asked: sent }
    const full = plain.find(served) ?? plain.unknown
    const tariff = half.find(served) ?? half.unknown
    const pairs = [
      [full.normal, tariff.normal],
      [full.fast, tariff.fast],
      [full.long?.charge, tariff.long?.charge],
    ].filter((pair) => pair[0] !== undefined && pair[0] !== null)
    for (const [before, after] of pairs) {
      assert.ok(before && after)
      for (const key of ['input', 'output', 'cacheRead', 'cacheWrite5m', 'cacheWrite1h'] as const) {
        assert.equal(after[key] * 2n, before[key], `${sent} ${key}`)
      }
    }
    assert.equal(tariff.webSearch * 2n, full.webSearch)
  }
  assert.equal(toCents(plain.unknown.webSearch), 1)
})

test('rate book: what was found before is found again for the same three names only', () => {
  const book = bookOf({
    overrides: [override('anthropic', 'own', 1), override('aws', 'own', 2)],
    prices: [priceRow('added', 4)],
  })
  const long = `own-${'x'.repeat(1000)}`
  for (let round = 0; round < 3; round++) {
    assert.equal(inputRate(book, 'own', 'asked', 'anthropic'), 1)
    assert.equal(inputRate(book, 'own', 'asked', 'aws'), 2)
    assert.equal(inputRate(book, 'added', 'asked', 'aws'), 4)
    assert.equal(inputRate(book, 'x1', 'asked', 'aws'), null)
    assert.equal(inputRate(book, 'own', long, 'anthropic'), 1)
    assert.equal(inputRate(book, 'x1', long, 'anthropic'), null)
    // Far more names than are remembered.
    for (let index = 0; index < 1500; index++) inputRate(book, 'own', `other-${index}`)
  }
})
