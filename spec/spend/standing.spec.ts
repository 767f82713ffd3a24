import assert from 'node:assert/strict'
import { test } from 'node:test'
import { periodNames } from '../../lib/spend/period.ts'
import {
  decisiveCap,
  type DescribedCap,
  isSpent,
  standingOf,
  utilization,
} from '../../lib/spend/standing.ts'
import type { CapState } from '../../lib/spend/sync.ts'
import { createRandom } from '../support/random.ts'

const now = Date.parse('2026-11-25T12:00:00Z')

test('standing: a cap is spent when it is reached, to the cent and beyond 2^53', () => {
  assert.equal(isSpent(99.999999, 100n), false)
  assert.equal(isSpent(100, 100n), true)
  assert.equal(isSpent(0, 0n), true)
  assert.equal(isSpent(1e15, 999_999_999_999_999_999n), false)
})

test('standing: the own cap is named before the budget of a group', () => {
  const cap: CapState = { period: 'daily', cap: 1n, source: 'user', id: 'a', spent: 1 }
  const pool = { group: 'g', limit: 1n, spent: 1 }
  assert.equal(standingOf([cap], [pool], now).kind, 'over-cap')
  assert.equal(standingOf([], [pool], now).kind, 'over-pool')
})

test('standing: agrees with a plain reading of the rules for any set of caps', () => {
  const random = createRandom()
  for (let round = 0; round < 2000; round++) {
    const caps = periodNames.flatMap((period): CapState[] => {
      if (random.chance(30)) return []
      const cap = random.chance(15) ? null : BigInt(random.below(5) * 50)
      return [{ period, cap, source: 'organization', id: period, spent: random.below(300) }]
    })
    const standing = standingOf(caps, [], now)
    const limited = caps.filter(({ cap }) => cap !== null)
    const over = limited.filter(({ cap, spent }) => spent >= Number(cap))
    const what = `seed ${random.seed}, ${JSON.stringify(caps, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`
    if (over.length > 0) {
      assert.ok(standing.kind === 'over-cap', what)
      // On a Wednesday in the middle of a month the longer period always resets later.
      assert.equal(standing.cap.period, over.at(-1)?.period, what)
    } else if (limited.length > 0) {
      assert.ok(standing.kind === 'within', what)
      const shares = limited.map(({ cap, spent }) => spent / Number(cap))
      assert.equal(utilization(standing.cap), Math.max(...shares), what)
    } else {
      assert.equal(standing.kind, 'open', what)
    }
  }
})

test('standing: of several spent caps the one that resets last is spoken of, however full the others', () => {
  const cap = (period: DescribedCap['period'], cents: bigint, endsAt: number): DescribedCap => ({
    period,
    cents,
    spent: 75,
    source: 'user',
    endsAt,
  })
  const caps = [cap('daily', 10n, 1), cap('weekly', 10n, 2), cap('monthly', 0n, 3)]
  assert.equal(decisiveCap(caps)?.period, 'monthly')
  assert.equal(decisiveCap(caps.slice(0, 2))?.period, 'weekly')
  assert.equal(decisiveCap([cap('daily', 100n, 1), cap('monthly', 1000n, 3)])?.period, 'daily')
  assert.equal(decisiveCap([]), undefined)
})
