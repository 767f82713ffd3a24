import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { Accounts } from '../../lib/spend/accounts.ts'
import type { AccountState, Entry, SyncResult } from '../../lib/spend/sync.ts'

const noon = { now: Date.parse('2026-11-27T12:00:00Z'), elapsed: 0 }
const callerOf = (sub: string): Caller => ({
  sub,
  email: undefined,
  name: undefined,
  groups: ['eng'],
  expiresAt: 0,
})
const member: AccountState = {
  caps: [],
  pools: [{ group: 'eng', limit: 100n, spent: 0 }],
  lease: 0,
  granted: 0,
}
const resultFor = (...accounts: AccountState[]): SyncResult => ({
  revision: 1n,
  accounts,
  poolLeases: new Map([['eng', 10]]),
})
const entryOf = (sub: string, cents: number): Entry => ({
  sub,
  groups: ['eng'],
  day: '2026-11-27',
  week: '2026-W48',
  month: '2026-11',
  cents,
  identity: false,
  email: null,
  name: null,
})

test('accounts: members of a group draw on one pool, and settle it together', () => {
  const accounts = new Accounts()
  const [a, b] = [accounts.of(callerOf('a')), accounts.of(callerOf('b'))]
  accounts.apply(
    [
      [a, ['eng']],
      [b, ['eng']],
    ],
    resultFor(member, member),
    noon,
    0,
  )
  assert.equal(a.pools[0], b.pools[0])
  for (const allowance of [a, ...a.pools]) allowance.accrue(4, noon)
  for (const allowance of [b, ...b.pools]) allowance.accrue(5, noon)
  assert.equal(a.pools[0]?.free, 1)
  accounts.settle([entryOf('a', 4), entryOf('b', 5)])
  assert.equal(a.pools[0]?.unsettled.total, 0)
  assert.deepEqual(
    accounts.poolsOf([a.groups, b.groups], new Map()).map(({ id }) => id),
    ['eng'],
  )
})

test('accounts: whoever asks, what is held of a known pool is said', () => {
  const accounts = new Accounts()
  const member1 = accounts.of(callerOf('a'))
  accounts.apply([[member1, ['eng']]], resultFor(member), noon, 0)
  member1.hold(7)
  const stranger = accounts.of({ ...callerOf('b'), groups: ['eng', 'ops'] })
  assert.deepEqual(accounts.poolsOf([stranger.groups], new Map()), [
    { id: 'eng', want: 50, held: 7 },
  ])
})

test('accounts: an account is one however often it is asked for, and the oldest goes first', () => {
  const accounts = new Accounts()
  const first = accounts.of(callerOf('first'))
  for (let index = 0; index < 49_999; index++) accounts.of(callerOf(`u-${index}`))
  assert.equal(accounts.of(callerOf('first')), first)
  accounts.of(callerOf('one more'))
  assert.equal(accounts.size, 50_000)
  assert.equal(accounts.find('first'), first)
  assert.equal(accounts.find('u-0'), undefined)
})

test('accounts: forgotten standings are asked for again', () => {
  const accounts = new Accounts()
  const account = accounts.of(callerOf('a'))
  accounts.apply([[account, ['eng']]], resultFor({ ...member, pools: [] }), noon, 0)
  assert.equal(account.check(callerOf('a'), 1n, noon).kind, 'known')
  accounts.forgetStandings()
  assert.equal(account.check(callerOf('a'), 1n, noon).kind, 'ask')
})
