import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { Account, Pool } from '../../lib/spend/account.ts'
import type { AccountState, CapState } from '../../lib/spend/sync.ts'

const noon = Date.parse('2026-11-27T12:00:00Z')
const caller: Caller = { sub: 'u', email: undefined, name: undefined, groups: [], expiresAt: 0 }
const cap = (cents: bigint | null, spent: number): CapState => ({
  period: 'monthly',
  cap: cents,
  source: 'user',
  id: 'spl',
  spent,
})
const state = (caps: readonly CapState[], lease = 0): AccountState => ({
  caps,
  pools: [],
  lease,
  granted: 0,
})
const at = (elapsed: number, now = noon) => ({ now: now + elapsed, elapsed })

function account(caps: readonly CapState[], lease = 0): Account {
  const made = new Account(caller)
  made.update(state(caps, lease), [], 1n, at(0), 0)
  return made
}

test('account: one without caps is known for ten seconds', () => {
  const open = account([])
  assert.equal(open.check(caller, 1n, at(9999)).kind, 'known')
  assert.equal(open.check(caller, 1n, at(10_000)).kind, 'ask')
})

test('account: is asked about again with a newer revision, other groups, or the next day', () => {
  const open = account([])
  assert.equal(open.check(caller, 2n, at(1)).kind, 'ask')
  assert.equal(open.check({ ...caller, groups: ['eng'] }, 1n, at(1)).kind, 'ask')
  assert.equal(open.check(caller, 1n, { now: noon + 12 * 3_600_000, elapsed: 1 }).kind, 'ask')
})

test('account: a capped one is known while its lease lasts, in time and in cents', () => {
  const capped = account([cap(100n, 0)], 10)
  assert.equal(capped.check(caller, 1n, at(8999)).kind, 'known')
  assert.equal(capped.check(caller, 1n, at(9000)).kind, 'ask')
  capped.accrue(9.5, at(10))
  assert.equal(capped.check(caller, 1n, at(20)).kind, 'known')
  capped.accrue(0.5, at(30))
  assert.equal(capped.check(caller, 1n, at(40)).kind, 'ask')
})

test('account: a spent cap is remembered for a second, and offered when nobody can be asked', () => {
  const over = account([cap(100n, 100)])
  assert.equal(over.check(caller, 1n, at(999)).kind, 'known')
  const later = over.check(caller, 1n, at(1000))
  assert.ok(later.kind === 'ask')
  assert.equal(later.last?.kind, 'over-cap')
})

test('account: what was accrued since a sync counts on top, and once', () => {
  const capped = account([cap(100n, 50)], 5)
  capped.accrue(4, at(1))
  const before = capped.standing(noon)
  assert.ok(before.kind === 'within')
  assert.equal(before.cap.spent, 54)
  capped.settle(4, '2026-11-27')
  capped.update(state([cap(100n, 54)], 4), [], 1n, at(5), 5)
  const after = capped.standing(noon)
  assert.ok(after.kind === 'within')
  assert.equal(after.cap.spent, 54)
})

test('account: what was spent before midnight and is not written yet is no part of the new day', () => {
  const midnight = Date.parse('2026-11-28T00:00:00Z')
  const daily: CapState = { ...cap(100n, 0), period: 'daily' }
  const capped = account([daily], 10)
  capped.accrue(150, { now: midnight - 50, elapsed: 1 })
  const today = { now: midnight + 10, elapsed: 61 }
  assert.equal(capped.check(caller, 1n, today).kind, 'ask')
  capped.update(state([daily, cap(1000n, 0)], 10), [], 1n, today, 61)
  assert.equal(capped.outstanding(), 150)
  const standing = capped.standing(today.now)
  assert.ok(standing.kind === 'within')
  // Of the day nothing is spent; of the month, which goes on, all of it.
  assert.deepEqual([standing.cap.period, standing.cap.spent], ['monthly', 150])
})

test('account: a pool without room makes it ask', () => {
  const pool = new Pool()
  pool.limit = 100n
  pool.lease = 1
  const member = new Account(caller)
  const pools = [{ group: 'eng', limit: 100n, spent: 0 }]
  member.update({ ...state([]), pools }, [pool], 1n, at(0), 0)
  assert.equal(member.check(caller, 1n, at(1)).kind, 'known')
  pool.accrue(1, at(1))
  assert.equal(member.check(caller, 1n, at(2)).kind, 'ask')
})

test('account: the person is written at first, after a change, and after a minute', () => {
  const known = account([])
  const renamed = { ...caller, name: 'Other' }
  assert.deepEqual(
    [
      known.takeIdentity(caller, 0),
      known.takeIdentity(caller, 1000),
      known.takeIdentity(renamed, 2000),
      known.takeIdentity(renamed, 61_000),
      known.takeIdentity(renamed, 62_000),
    ],
    [true, false, true, false, true],
  )
})

test('account: a busy caller is leased about a minute, a quiet one enough for an answer', () => {
  const quiet = account([cap(100_000n, 0)])
  assert.equal(quiet.want, 50)
  for (let second = 0; second < 60; second++) quiet.accrue(10, at(second * 1000))
  assert.ok(quiet.want > 300 && quiet.want < 600, String(quiet.want))
})

test('account: a limited caller is renewed after a second, or when half of a lease is used', () => {
  const capped = account([cap(1000n, 0)], 40)
  assert.equal(capped.wantsRenewal(1000), false)
  assert.equal(capped.wantsRenewal(1001), true)
  capped.accrue(19, at(100))
  assert.equal(capped.wantsRenewal(200), false)
  capped.accrue(1, at(200))
  assert.equal(capped.wantsRenewal(200), true)
  const releasing = account([cap(1000n, 0)], 40)
  releasing.hold(10)
  assert.equal(releasing.wantsRenewal(0), false)
  releasing.release(10)
  assert.equal(releasing.wantsRenewal(0), true, 'others may be waiting for what it gave back')
  const near = account([cap(1000n, 999)], 0)
  assert.equal(near.wantsRenewal(0), true, 'without a lease every call asks')
  const open = account([cap(null, 0)])
  assert.deepEqual([open.wantsRenewal(4000), open.wantsRenewal(4001)], [false, true])
})

test('account: a member is renewed when half of the lease of the shared budget is used', () => {
  const pool = new Pool()
  pool.lease = 10
  const member = new Account(caller)
  const pools = [{ group: 'eng', limit: 100n, spent: 0 }]
  member.update({ ...state([]), pools }, [pool], 1n, at(0), 0)
  pool.accrue(4, at(1))
  assert.equal(member.wantsRenewal(1), false, 'its own lease of nothing does not matter')
  pool.accrue(1, at(1))
  assert.equal(member.wantsRenewal(1), true)
})
