import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdminError } from '../../../lib/spend/admin/answer.ts'
import { checkPoolAmount, readLimitBody } from '../../../lib/spend/admin/limit-body.ts'

const read = (body: unknown) => readLimitBody(Buffer.from(JSON.stringify(body)))
const organization = { scope: { type: 'organization' }, amount: '5' }

function refusal(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof AdminError)
    return error.message
  }
  return 'accepted'
}

test('limit body: amounts of 18 digits are exact, and what a period or pool is left out is default', () => {
  const { amount, period, pool, scope } = read({ ...organization, amount: '999999999999999999' })
  assert.equal(amount, 999_999_999_999_999_999n)
  assert.deepEqual([period, pool, scope], ['monthly', undefined, { type: 'organization', id: '' }])
})

test('limit body: members of the prototype are no members of a body', () => {
  const hostile = '{"__proto__":{"amount":"1"},"scope":{"type":"organization"}}'
  assert.equal(
    refusal(() => readLimitBody(Buffer.from(hostile))),
    'amount: Required',
  )
  const inScope = '{"scope":{"__proto__":{"type":"organization"}},"amount":"1"}'
  assert.match(
    refusal(() => readLimitBody(Buffer.from(inScope))),
    /^scope\.type: Invalid/,
  )
})

test('limit body: ids that PostgreSQL cannot hold, or nobody has, are refused', () => {
  const named = (user_id: string) => () => read({ scope: { type: 'user', user_id }, amount: '1' })
  assert.equal(refusal(named("'; DROP TABLE spend_limits; --")), 'accepted')
  assert.match(refusal(named('a\u0000b')), /^scope\.user_id: must not contain NUL/)
  assert.match(refusal(named('\ud800')), /^scope\.user_id: must not contain NUL/)
  assert.match(
    refusal(named('x'.repeat(1025))),
    /^scope\.user_id: String must contain at most 1024/,
  )
})

test('limit body: a pool that is in force needs the amount of its members', () => {
  assert.match(
    refusal(() => checkPoolAmount({ amount: 5n, paused: false }, null)),
    /^A pooled budget/,
  )
  for (const pool of [null, { amount: 5n, paused: true }]) checkPoolAmount(pool, null)
  checkPoolAmount({ amount: 5n, paused: false }, 1n)
})
