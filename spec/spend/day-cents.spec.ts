import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DayCents } from '../../lib/spend/day-cents.ts'

test('day cents: sums are asked for from a day on, and what was taken is gone', () => {
  const cents = new DayCents()
  cents.add(1, 4)
  cents.add(1, 0.5)
  cents.add(2, 8)
  assert.deepEqual([cents.total, cents.from(1), cents.from(2), cents.from(3)], [12.5, 12.5, 8, 0])
  const before = cents.copy()
  cents.take(1, 4.5)
  cents.take(3, 1)
  assert.deepEqual([cents.total, before.total], [8, 12.5])
})

test('day cents: the rounding of sums leaves nothing behind, and more than there is takes all', () => {
  const cents = new DayCents()
  for (const _ of Array.from({ length: 10 })) cents.add(1, 0.1)
  cents.take(1, 1)
  assert.equal(cents.total, 0)
  cents.add(1, 1)
  cents.take(1, 5)
  assert.equal(cents.total, 0)
})
