/** Amounts: exact whatever the decimals, one rounding at the end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Amount, amountOf, times, toCents } from '../../lib/spend/amount.ts'
import { createRandom } from '../support/random.ts'

const usd = (text: string): Amount => {
  const [whole = '', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.padEnd(40, '0'))
}

test('amount: a decimal is what it says', () => {
  assert.equal(amountOf(1), usd('1'))
  assert.equal(amountOf(0.1) + amountOf(0.2), amountOf(0.3))
  assert.equal(amountOf(6.25), usd('6.25'))
  assert.equal(amountOf(0), 0n)
})

test('amount: numbers that print with an exponent are read too', () => {
  assert.equal(amountOf(1e-7), usd('0.0000001'))
  assert.equal(amountOf(2.5e-7), usd('0.00000025'))
  assert.equal(amountOf(1.5e21), usd('1500000000000000000000'))
})

test('amount: a rate per million times a multiplier has no whole nano-USD, and is exact', () => {
  assert.equal(amountOf(0.01, 0.85, 6), usd('0.0000000085'))
  assert.equal(amountOf(3, 0.333_333_333_333_333_3, 6), usd('0.0000009999999999999999'))
})

test('amount: rates and multipliers with all the digits a double has are exact', () => {
  const rate = 0.123_456_789_012_345_66
  const multiplier = 0.987_654_321_098_765_5
  const digits = 12_345_678_901_234_566n * 9_876_543_210_987_655n
  // 17 + 16 places and 6 for the million make 39 of 40.
  assert.equal(String(rate), '0.12345678901234566')
  assert.equal(amountOf(rate, multiplier, 6), digits * 10n)
})

test('amount: what is smaller than the unit is rounded to the nearest', () => {
  assert.equal(amountOf(4.9e-41), 0n)
  assert.equal(amountOf(5e-41), 1n)
  assert.equal(amountOf(5e-324), 0n)
  assert.equal(amountOf(1.4e-40), 1n)
})

test('amount: counts are exact, fractions included', () => {
  assert.equal(times(amountOf(3, 1, 6), 10.5), usd('0.0000315'))
  assert.equal(times(amountOf(1), 0.1) * 10n, amountOf(1))
  assert.equal(times(7n, 2 ** 53 - 1), 7n * (2n ** 53n - 1n))
  assert.equal(times(7n, 0), 0n)
})

test('amount: a count that cannot be is none, and a giant one is bounded', () => {
  for (const count of [-1, -0.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
    assert.equal(times(amountOf(1), count), 0n, String(count))
  }
  const most = times(amountOf(1), Number.MAX_SAFE_INTEGER)
  for (const count of [1e20, 1e308, Number.MAX_VALUE]) assert.equal(times(amountOf(1), count), most)
  assert.equal(times(amountOf(1), Number.POSITIVE_INFINITY), 0n)
  const dearest = times(amountOf(10_000, 10, 6), Number.MAX_VALUE)
  assert.ok(Number.isFinite(toCents(dearest)))
})

test('amount: cents are the double nearest to the amount', () => {
  assert.equal(toCents(0n), 0)
  assert.equal(toCents(amountOf(1)), 100)
  assert.equal(toCents(amountOf(0.0085, 1, 6)), 8.5e-7)
  assert.equal(toCents(amountOf(0.1) + amountOf(0.2)), 30)
  assert.equal(toCents(1n), 1e-38)
  // Dividing by 10^38 would round twice and often give the neighbour.
  const random = createRandom()
  for (let round = 0; round < 2000; round++) {
    const cents = (random.below(2 ** 31) / 997) * 10 ** (random.below(12) - 6)
    assert.equal(toCents(amountOf(cents, 1, 2)), cents, `seed ${random.seed}`)
  }
})

test('amount: sums do not depend on order or number, where doubles drift', () => {
  const one = amountOf(0.01, 0.85, 6)
  const many = 1_000_000
  let sum = 0n
  let drifting = 0
  for (let index = 0; index < many; index++) {
    sum += one
    drifting += toCents(one)
  }
  assert.equal(sum, one * BigInt(many))
  assert.equal(toCents(sum), 0.85)
  assert.notEqual(drifting, 0.85)
})
