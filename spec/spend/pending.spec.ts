import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { amountOf } from '../../lib/spend/amount.ts'
import { createPending } from '../../lib/spend/pending.ts'
import { createRecorder } from '../support/recorder.ts'

const now = Date.parse('2026-11-27T23:59:59Z')
const caller = (sub: string, groups: readonly string[] = ['eng']): Caller => ({
  sub,
  email: `${sub}@example.com`,
  name: undefined,
  groups,
  expiresAt: 0,
})
const cents = (value: number) => amountOf(value / 100)

test('pending: what one person spends on a day is one row, added exactly', () => {
  const pending = createPending(createRecorder().log)
  for (let index = 0; index < 10; index++) pending.add(caller('u'), cents(0.1), now, index === 5)
  pending.add(caller('u'), cents(5), now + 2000, false)
  assert.equal(pending.size, 2)
  const batch = pending.next()
  assert.deepEqual(
    batch?.entries.map(({ day, week, month, cents: sum, identity }) => [
      day,
      week,
      month,
      sum,
      identity,
    ]),
    [
      ['2026-11-27', '2026-W48', '2026-11', 1, true],
      ['2026-11-28', '2026-W48', '2026-11', 5, false],
    ],
  )
})

test('pending: one caller who goes on spending is added to the row of the day, then to the next batch', () => {
  const pending = createPending(createRecorder().log)
  const same = caller('u')
  const other = caller('u', ['ops'])
  const add = (who: Caller, value: number, at = now, identity = false): void =>
    pending.add(who, cents(value), at, identity)
  add(same, 1)
  add(same, 2, now, true)
  add(other, 4)
  add(same, 8)
  add(same, 16, now + 2000)
  add(same, 32)
  const sums = () => {
    const batch = pending.next()
    pending.settled(batch?.id ?? '')
    return batch?.entries.map((row) => [row.day, row.groups[0], row.cents, row.identity])
  }
  assert.deepEqual(sums(), [
    ['2026-11-27', 'eng', 43, true],
    ['2026-11-27', 'ops', 4, false],
    ['2026-11-28', 'eng', 16, false],
  ])
  add(same, 64)
  assert.deepEqual(sums(), [['2026-11-27', 'eng', 64, false]])
  assert.ok(pending.isEmpty)
})

test('pending: a batch keeps its id until it is settled, and what comes meanwhile waits', () => {
  const pending = createPending(createRecorder().log)
  pending.add(caller('u'), cents(1), now, false)
  const first = pending.next()
  pending.add(caller('u'), cents(2), now, false)
  assert.equal(pending.next(), first)
  assert.equal(pending.cents(), 3)
  pending.settled(first?.id ?? '')
  const second = pending.next()
  assert.notEqual(second?.id, first?.id)
  assert.deepEqual(
    second?.entries.map(({ cents: sum }) => sum),
    [2],
  )
  pending.settled(second?.id ?? '')
  assert.ok(pending.isEmpty)
  assert.equal(pending.next(), null)
})

test('pending: a large company is sent in batches of 500', () => {
  const pending = createPending(createRecorder().log)
  for (let index = 0; index < 1200; index++) pending.add(caller(`u-${index}`), cents(1), now, false)
  const sizes: number[] = []
  for (let batch = pending.next(); batch !== null; batch = pending.next()) {
    sizes.push(batch.entries.length)
    pending.settled(batch.id)
  }
  assert.deepEqual(sizes, [500, 500, 200])
})

test('pending: entries that the database refuses are tried one by one, and only the bad one is lost', () => {
  const { log, lines } = createRecorder()
  const pending = createPending(log)
  for (const sub of ['a', 'b', 'c']) pending.add(caller(sub), cents(1), now, false)
  pending.refused(pending.next()?.id ?? '', 'invalid')
  const tried: string[] = []
  for (let batch = pending.next(); batch !== null; batch = pending.next()) {
    const [entry] = batch.entries
    tried.push(entry?.sub ?? '')
    if (entry?.sub === 'b') pending.refused(batch.id, 'invalid')
    else pending.settled(batch.id)
  }
  assert.deepEqual(tried, ['a', 'b', 'c'])
  assert.deepEqual(lines, [
    'error spend: the database refuses 1 cents of sub b on 2026-11-27; given up: invalid',
  ])
})

test('pending: warns long before its bound, and says in cents what does not fit', () => {
  const { log, lines } = createRecorder()
  const pending = createPending(log, 4)
  for (const sub of ['a', 'b', 'c', 'd', 'e', 'f']) pending.add(caller(sub), cents(1), now, false)
  pending.add(caller('a'), cents(1), now, false)
  assert.deepEqual(lines, [
    'warn spend: 2 rows wait for the database, of at most 4; beyond that spend is lost',
    'error spend: no room for another row; 1 cents lost so far, now of sub e',
    'error spend: no room for another row; 2 cents lost so far, now of sub f',
  ])
  assert.equal(pending.cents(), 5)
})
