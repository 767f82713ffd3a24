/** What replies cost: the measured amounts, every counter at its own rate, nothing billed twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toCents } from '../../lib/spend/amount.ts'
import { createPrice, type Price } from '../../lib/spend/price.ts'
import type { RateBook } from '../../lib/spend/rate-book.ts'
import type { Usage } from '../../lib/spend/usage.ts'
import { bookOf, override } from '../support/rate-book.ts'
import { createRecorder } from '../support/recorder.ts'
import { readTable } from '../support/tsv.ts'
import { usageOf, usageWith } from '../support/usage.ts'

function price(book: RateBook = bookOf()): { price: Price; lines: string[] } {
  const { log, lines } = createRecorder()
  return { price: createPrice(book, log), lines }
}

function cents(usage: Usage, model: string, book?: RateBook): number {
  return toCents(price(book).price(usage, { upstream: 'anthropic', sent: model, asked: model }))
}

/** The recorded cents carry the error of sums in doubles; ours must be what they stand for. */
function assertCents(found: number, recorded: string | undefined, what: string | undefined): void {
  const expected = Number(recorded)
  assert.ok(Math.abs(found - expected) <= expected * 1e-14, `${what}: ${found} for ${recorded}`)
  assert.ok(String(found).length <= String(expected).length, `${what}: ${found}`)
}

const rows = readTable('spend/spend-semantics.tsv').map((row) => ({
  name: row['case (claude-sonnet-4-6 unless named; fresh principal)'] ?? '',
  cents: row['cents'],
}))

test('price: the two tiers of haiku 5.5 are the measured ones', () => {
  let checked = 0
  for (const { name, cents: recorded } of rows) {
    const match = /^haiku-5-5 in (\d+)(?: (\w+) (\d+))?$/.exec(name)
    if (match === null) continue
    const [, input, field = 'input_tokens', count] = match
    const key = field === 'cache_read' ? 'cache_read_input_tokens' : field
    const usage = usageOf({ input_tokens: Number(input), [key]: Number(count ?? input) })
    assertCents(cents(usage, 'claude-haiku-5-5'), recorded, name)
    checked++
  }
  assert.equal(checked, 13)
})

const long = 250_000
const longCases: Readonly<Record<string, object>> = {
  'long in': { input_tokens: long },
  'long out': { input_tokens: long, output_tokens: 100_000 },
  'long w5': { input_tokens: long, cache_creation_input_tokens: 100_000 },
  'long w1': {
    input_tokens: long,
    cache_creation_input_tokens: 100_000,
    cache_creation: { ephemeral_1h_input_tokens: 100_000 },
  },
  'long cr': { input_tokens: long, cache_read_input_tokens: 100_000 },
  'long cw_only': { cache_creation_input_tokens: long },
  'long cr_only': { cache_read_input_tokens: long },
}

test('price: above its bound haiku 5.5 costs more for everything', () => {
  for (const [name, usage] of Object.entries(longCases)) {
    const row = rows.find((candidate) => candidate.name === `haiku-5-5 ${name}`)
    assertCents(cents(usageOf(usage), 'claude-haiku-5-5'), row?.cents, name)
  }
})

test('price: the operator’s rows and multiplier give the measured amounts', () => {
  const book = bookOf({
    multiplier: 0.85,
    overrides: [
      { ...override('anthropic', 'claude-haiku-4-5', 10), output: 20 },
      override('anthropic', 'x1', 7),
      override('anthropic', 'claude-opus-4-8', 1),
      override('anthropic', 'deployed-x3', 21),
    ],
  })
  const sentFor: Readonly<Record<string, string>> = {
    x1: 'deployed-x1',
    X1: 'deployed-x1',
    x2: 'claude-opus-4-8',
    x3: 'Deployed-X3',
  }
  let checked = 0
  for (const { name, cents: recorded } of rows) {
    const [, asked = '', usage = ''] = /^pricing\(0\.85\): (\S+) (\{.*\})$/.exec(name) ?? []
    if (asked === '') continue
    const served = { upstream: 'anthropic', sent: sentFor[asked] ?? asked, asked }
    const reported: object = JSON.parse(usage)
    assertCents(toCents(price(book).price(usageOf(reported), served)), recorded, name)
    checked++
  }
  assert.equal(checked, 13)
})

test('price: estimated output costs what reported output does', () => {
  const measured = { 'stream 10x1 char': 3, 'stream idx 10, 4 chars': 2, 'stream empty': 0 }
  for (const [name, output_tokens] of Object.entries(measured)) {
    const row = rows.find((candidate) => candidate.name === name)
    const usage = usageWith({ output_tokens, estimated: true })
    assertCents(cents(usage, 'claude-sonnet-4-6'), row?.cents, name)
  }
  const cut = usageWith({ input_tokens: 1000, output_tokens: 150, complete: false })
  assert.equal(cents(cut, 'claude-sonnet-4-6'), 0.525)
})

test('price: every measured price of every model comes out of a whole reply', () => {
  for (const row of readTable('spend/prices.tsv')) {
    if (row['route'] === 'anthropic-custom') continue
    const model = row['model_sent'] ?? ''
    // At a rate in USD per million, 10,000 tokens cost as many cents; they reach no long tier.
    const count = 10_000
    const costs = {
      'in_$/M': usageWith({ input_tokens: count }),
      'out_$/M': usageWith({ output_tokens: count }),
      cache_write_5m: usageWith({ cache_creation_input_tokens: count }),
      cache_write_1h: usageWith({
        cache_creation_input_tokens: count,
        ephemeral_1h_input_tokens: count,
      }),
      cache_read: usageWith({ cache_read_input_tokens: count }),
      websearch_each_$: usageWith({ web_search_requests: 1 }),
      fast_in: usageWith({ input_tokens: count, speed: 'fast' }),
      fast_out: usageWith({ output_tokens: count, speed: 'fast' }),
    }
    for (const [column, usage] of Object.entries(costs)) {
      const inCents = column === 'websearch_each_$' ? 100 : 1
      assert.equal(cents(usage, model), Number(row[column]) * inCents, `${model} ${column}`)
    }
  }
})

test('price: cache writes are split by what is kept for an hour', () => {
  const usage = usageOf({
    cache_creation_input_tokens: 100_000,
    cache_creation: { ephemeral_5m_input_tokens: 10_000, ephemeral_1h_input_tokens: 20_000 },
  })
  // 80,000 at 3.75 and 20,000 at 6 USD per million.
  assert.equal(cents(usage, 'claude-sonnet-4-6'), 30 + 12)
})

test('price: fast is what the reply says, and only that word', () => {
  for (const [speed, expected] of [
    ['fast', 30],
    ['standard', 5],
    ['FAST', 5],
    [null, 5],
  ] as const) {
    const usage = usageWith({ input_tokens: 10_000, speed })
    assert.equal(cents(usage, 'claude-opus-4-6'), expected, String(speed))
  }
})

test('price: what is not charged for changes nothing', () => {
  const usage = usageOf({
    input_tokens: 1000,
    service_tier: 'priority',
    inference_geo: 'us',
    iterations: [{ input_tokens: 5_000_000 }],
    server_tool_use: { web_fetch_requests: 50, code_execution_requests: 50 },
  })
  assert.equal(cents(usage, 'claude-sonnet-4-6'), 0.3)
})

test('price: figures below 0 or beyond numbers cost nothing, fractions what they are', () => {
  const broken = usageWith({
    input_tokens: -1000,
    output_tokens: Number.NaN,
    cache_read_input_tokens: Number.POSITIVE_INFINITY,
    web_search_requests: -1,
  })
  assert.equal(cents(broken, 'claude-sonnet-4-6'), 0)
  assert.equal(cents(usageWith({ input_tokens: 10.5 }), 'claude-sonnet-4-6'), 0.003_15)
})

test('price: an unknown model costs the default, and is said once', () => {
  const { price: priceOf, lines } = price()
  const usage = usageWith({ input_tokens: 10_000, output_tokens: 10_000 })
  for (const sent of ['weird', 'weird', 'other', 'claude-opus-5']) {
    const amount = priceOf(usage, { upstream: 'own', sent, asked: 'x0' })
    assert.equal(toCents(amount), 30, sent)
  }
  assert.equal(lines.length, 2)
  assert.match(
    lines[0] ?? '',
    /^warn spend meter has no exact rates for model 'weird' — metering at the unknown-model default tier \(upstream own, asked for as x0\)/,
  )
  assert.match(lines[1] ?? '', /model 'other'/)
})

test('price: at most a thousand ids are said', () => {
  const { price: priceOf, lines } = price()
  for (let index = 0; index < 1100; index++) {
    priceOf(usageWith({}), { upstream: 'own', sent: `weird-${index}`, asked: 'x0' })
  }
  assert.equal(lines.length, 1000)
})
