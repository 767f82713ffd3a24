import assert from 'node:assert/strict'
import { test } from 'node:test'
import { estimate, judge, median, medianCoverage, percentile } from '../../bench/statistics.ts'

test('statistics: the median is the middle value whatever the order', () => {
  assert.equal(median([5, 1, 9]), 5)
  assert.equal(median([10, 9, 100]), 10)
  assert.equal(median([4]), 4)
})

test('statistics: the median of an even count is the mean of the two middle values', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
})

test('statistics: no values give no figure instead of a zero', () => {
  assert.ok(Number.isNaN(median([])))
  assert.ok(Number.isNaN(percentile([], 0.99)))
  assert.ok(Number.isNaN(estimate([]).median))
  assert.equal(estimate([]).coverage, 0)
})

test('statistics: a percentile is a value that was measured, by nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.equal(percentile(hundred, 0.5), 50)
  assert.equal(percentile(hundred, 0.99), 99)
  assert.equal(percentile(hundred, 1), 100)
  assert.equal(percentile(hundred, 0), 1)
  assert.equal(percentile([7], 0.99), 7)
})

test('statistics: the input is left in its order', () => {
  const values = [3, 1, 2]
  estimate(values)
  assert.deepEqual(values, [3, 1, 2])
})

test('statistics: nine rounds enclose the median by the second and the eighth at 96 %', () => {
  const figure = estimate([9, 8, 7, 6, 5, 4, 3, 2, 1])
  assert.equal(figure.median, 5)
  assert.equal(figure.low, 2)
  assert.equal(figure.high, 8)
  assert.equal(figure.rounds, 9)
  // 1 - 2·(1 + 9)/512, the sign test's table.
  assert.equal(figure.coverage, 1 - 20 / 512)
})

test('statistics: more rounds narrow the interval, as in the table of the sign test', () => {
  // Ranks for 95 %: n = 6 the extremes, n = 12 the third, n = 20 the sixth.
  for (const [n, rank] of [
    [6, 1],
    [12, 3],
    [20, 6],
    [30, 10],
  ] as const) {
    const figure = estimate(Array.from({ length: n }, (_, i) => i + 1))
    assert.equal(figure.low, rank, `low of ${n}`)
    assert.equal(figure.high, n + 1 - rank, `high of ${n}`)
    assert.ok(figure.coverage >= 0.95)
  }
})

test('statistics: too few rounds give the whole range and say what it is worth', () => {
  const figure = estimate([3, 1, 2])
  assert.deepEqual([figure.low, figure.median, figure.high], [1, 2, 3])
  assert.equal(figure.coverage, 0.75)
})

test('statistics: the interval encloses the true median about as often as it says', () => {
  // A fixed generator: the count is the same on every run.
  let state = 12345
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  let enclosed = 0
  const trials = 4000
  for (let trial = 0; trial < trials; trial++) {
    // Skewed like timings are; the median of -ln(u) is ln 2.
    const figure = estimate(Array.from({ length: 9 }, () => -Math.log(1 - random())))
    if (figure.low <= Math.LN2 && Math.LN2 <= figure.high) enclosed++
  }
  const share = enclosed / trials
  assert.ok(Math.abs(share - medianCoverage(9, 2)) < 0.015, `enclosed ${share}`)
})

test('statistics: a goal is missed only when the whole interval is above it', () => {
  const figure = estimate([1.0, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5])
  assert.equal(judge(figure, 1.25), 'reached')
  assert.equal(judge(figure, 1.2), 'undecided')
  assert.equal(judge(figure, 1.1), 'undecided')
  assert.equal(judge(figure, 1.09), 'missed')
})

test('statistics: a figure that was not measured never reaches its goal', () => {
  assert.notEqual(judge(estimate([]), 1), 'reached')
})
