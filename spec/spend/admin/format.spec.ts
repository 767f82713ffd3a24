import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixedCents, formatCents } from '../../../lib/spend/admin/format.ts'

test('format: cents are decimal, without trailing zeros and without the noise of doubles', () => {
  assert.deepEqual([0, 1, 2.1, 1.0499999999999998, 100, 437.106, 1e-9, -0].map(formatCents), [
    '0',
    '1',
    '2.1',
    '1.05',
    '100',
    '437.106',
    '0',
    '0',
  ])
})

test('format: a report has six decimals', () => {
  assert.deepEqual([0, 437.106, 1e15].map(fixedCents), [
    '0.000000',
    '437.106000',
    '1000000000000000.000000',
  ])
})
