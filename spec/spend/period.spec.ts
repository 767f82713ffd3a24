import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { type Periods, periodNames, periodsAt } from '../../lib/spend/period.ts'
import { createRandom } from '../support/random.ts'

const keys = (iso: string): readonly string[] => {
  const periods = periodsAt(Date.parse(iso))
  return periodNames.map((name) => periods[name].key)
}

test('period: a moment is in a UTC day, an ISO week and a month', () => {
  assert.deepEqual(keys('2026-11-22T10:32:04.524Z'), ['2026-11-22', '2026-W47', '2026-11'])
  assert.deepEqual(keys('2026-11-23T00:00:00.000Z'), ['2026-11-23', '2026-W48', '2026-11'])
})

test('period: each ends with the millisecond before the next begins', () => {
  assert.deepEqual(keys('2026-11-30T23:59:59.999Z'), ['2026-11-30', '2026-W49', '2026-11'])
  assert.deepEqual(keys('2026-12-01T00:00:00.000Z'), ['2026-12-01', '2026-W49', '2026-12'])
  const { daily, weekly, monthly } = periodsAt(Date.parse('2026-11-30T23:59:59.999Z'))
  assert.equal(daily.endsAt, Date.parse('2026-12-01T00:00:00Z'))
  assert.equal(weekly.endsAt, Date.parse('2026-12-07T00:00:00Z'))
  assert.equal(monthly.endsAt, Date.parse('2026-12-01T00:00:00Z'))
})

test('period: around new year a week belongs to the year of its Thursday', () => {
  assert.equal(keys('2026-01-01T00:00:00Z')[1], '2026-W01')
  assert.equal(keys('2025-12-29T00:00:00Z')[1], '2026-W01')
  assert.equal(keys('2025-12-28T23:59:59Z')[1], '2025-W52')
  assert.equal(keys('2021-01-03T12:00:00Z')[1], '2020-W53')
  assert.equal(keys('2021-01-04T00:00:00Z')[1], '2021-W01')
  assert.equal(keys('2027-01-03T00:00:00Z')[1], '2026-W53')
})

test('period: a leap day is a day of February', () => {
  assert.deepEqual(keys('2028-02-29T12:00:00Z'), ['2028-02-29', '2028-W09', '2028-02'])
  assert.equal(periodsAt(Date.parse('2028-02-29T12:00:00Z')).monthly.endsAt, Date.UTC(2028, 2, 1))
})

test('period: any moment lies inside its periods, and names agree with the system calendar', () => {
  const random = createRandom()
  const moments = Array.from({ length: 200 }, () => 1_500_000_000_000 + random.below(2 ** 31) * 400)
  const dates = moments.map((ms) => `@${Math.floor(ms / 1000)}`).join('\n')
  const expected = execFileSync('date', ['-u', '-f', '-', '+%F %G-W%V %Y-%m'], { input: dates })
    .toString()
    .trim()
    .split('\n')
  for (const [index, ms] of moments.entries()) {
    const periods: Periods = periodsAt(ms)
    assert.equal(periodNames.map((name) => periods[name].key).join(' '), expected[index])
    for (const name of periodNames) {
      const { startsAt, endsAt } = periods[name]
      assert.ok(startsAt <= ms && ms < endsAt, `${name} of ${ms}, seed ${random.seed}`)
      assert.equal(periodsAt(startsAt)[name].key, periods[name].key)
      assert.notEqual(periodsAt(endsAt)[name].key, periods[name].key)
    }
  }
})

test('period: whoever asks about days in turn gets each its own', () => {
  for (let times = 0; times < 2; times++) {
    assert.equal(keys('2026-11-30T23:59:59.999Z')[0], '2026-11-30')
    assert.equal(keys('2026-12-01T00:00:00.000Z')[0], '2026-12-01')
    assert.equal(keys('2026-11-30T00:00:00.000Z')[0], '2026-11-30')
  }
})
