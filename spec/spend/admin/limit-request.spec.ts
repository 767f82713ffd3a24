import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../lib/kernel/errors.ts'
import { readLimitRequest } from '../../../lib/spend/admin/limit-request.ts'

const read = (body: unknown) => readLimitRequest(new TextEncoder().encode(JSON.stringify(body)))

function refusal(body: Uint8Array): string {
  try {
    readLimitRequest(body)
  } catch (error) {
    assert.ok(error instanceof GatewayError && error.code === 'admin/invalid')
    return error.message
  }
  return 'accepted'
}

const org = { scope: { type: 'organization' }, amount: '5' }
const group = { scope: { type: 'rbac_group', rbac_group_id: 'g' }, amount: '5' }
const cents = 'must be a whole-number decimal string of cents'
const words = "'daily' | 'weekly' | 'monthly'"

/** What is sent, and the answer's words; every field, in the order in which they are looked at. */
const table: readonly (readonly [unknown, string])[] = [
  [[1], 'Expected object, received array'],
  [null, 'Expected object, received null'],
  ['x', 'Expected object, received string'],
  [5, 'Expected object, received number'],
  [{}, 'scope: Required'],
  [{ amount: 5, period: 'x', currency: 1, pooled_budget: 3 }, 'scope: Required'],
  [{ ...org, scope: null }, 'scope: Expected object, received null'],
  [{ ...org, scope: [] }, 'scope: Expected object, received array'],
  [{ ...org, scope: 'organization' }, 'scope: Expected object, received string'],
  [
    { ...org, scope: {} },
    "scope.type: Invalid discriminator value. Expected 'user' | 'rbac_group' | 'organization'",
  ],
  [{ ...org, scope: { type: 'user' }, amount: 5 }, 'scope.user_id: Required'],
  [
    { ...org, scope: { type: 'user', user_id: '' } },
    'scope.user_id: String must contain at least 1 character(s)',
  ],
  [
    { ...org, scope: { type: 'user', user_id: null } },
    'scope.user_id: Expected string, received null',
  ],
  [
    { ...org, scope: { type: 'user', user_id: 'a\0b' } },
    'scope.user_id: must not contain a NUL character',
  ],
  [
    { ...org, scope: { type: 'user', user_id: 'a\ud800' } },
    'scope.user_id: must not contain half of a character',
  ],
  [
    { ...org, scope: { type: 'rbac_group', rbac_group_id: 'ä'.repeat(1001) } },
    'scope.rbac_group_id: must be at most 2000 bytes',
  ],
  [{ ...org, scope: { type: 'rbac_group' } }, 'scope.rbac_group_id: Required'],
  [{ ...org, amount: undefined }, 'amount: Required'],
  [{ ...group, amount: undefined, pooled_budget: null }, 'amount: Required'],
  [
    { ...org, amount: undefined, currency: 'EUR' },
    'currency: Invalid literal value, expected "USD"',
  ],
  [{ ...org, amount: 100 }, 'amount: Expected string, received number'],
  [{ ...org, amount: [] }, 'amount: Expected string, received array'],
  [{ ...org, amount: true }, 'amount: Expected string, received boolean'],
  ...[
    '',
    '1.5',
    '-1',
    '+7',
    ' 7',
    '7 ',
    '1e3',
    '٣',
    '0x1',
    '1'.repeat(19),
    `${'0'.repeat(18)}1`,
  ].map((amount): [unknown, string] => [{ ...org, amount }, `amount: ${cents}`]),
  [{ ...org, period: null }, `period: Expected ${words}, received null`],
  [{ ...org, period: ['daily'] }, `period: Expected ${words}, received array`],
  [
    { ...org, period: 'yearly' },
    `period: Invalid enum value. Expected ${words}, received 'yearly'`,
  ],
  [{ ...org, period: 'Daily' }, `period: Invalid enum value. Expected ${words}, received 'Daily'`],
  [{ ...org, currency: 'EUR' }, 'currency: Invalid literal value, expected "USD"'],
  [{ ...org, currency: null }, 'currency: Invalid literal value, expected "USD"'],
  [{ ...group, pooled_budget: '5' }, 'pooled_budget: Expected object, received string'],
  [{ ...group, pooled_budget: { amount: '1.5' } }, `pooled_budget.amount: ${cents}`],
  [
    { ...group, pooled_budget: { paused: 'x', currency: 4 } },
    'pooled_budget.paused: Expected boolean, received string',
  ],
  [
    { ...group, pooled_budget: { currency: 'EUR' } },
    'pooled_budget.currency: Invalid literal value, expected "USD"',
  ],
  [
    { ...org, period: 'daily', pooled_budget: { amount: '0' } },
    'Pooled budget fields can only be set on a group-level limit',
  ],
  [
    { ...group, period: 'daily', pooled_budget: { paused: false } },
    "Pooled budgets are monthly only. Set pooled fields on the group's monthly limit.",
  ],
]

test('limit-request: each mistake has its words, and only the first is named (F252 F253 F254 F402)', () => {
  for (const [body, message] of table) {
    assert.equal(refusal(new TextEncoder().encode(JSON.stringify(body))), message)
  }
})

test('limit-request: what is no JSON is said to be none', () => {
  for (const text of ['', '{bad', '{"a":1}}', '[1,']) {
    assert.equal(refusal(new TextEncoder().encode(text)), 'invalid JSON body')
  }
  assert.equal(refusal(Uint8Array.of(0x22, 0xff, 0x22)), 'invalid JSON body')
})

test('limit-request: amounts keep every digit, and lose leading zeros only (F252)', () => {
  for (const [given, kept] of [
    ['0', '0'],
    ['007', '7'],
    ['9007199254740993', '9007199254740993'],
    ['999999999999999999', '999999999999999999'],
  ]) {
    assert.equal(read({ ...org, amount: given }).amount, kept)
  }
  assert.equal(read({ ...org, amount: null }).amount, null)
})

test('limit-request: what is not known is ignored, also names of object members', () => {
  const body =
    '{"__proto__":{"amount":"1"},"scope":{"type":"user","user_id":"x","y":1},"amount":"5"}'
  assert.deepEqual(readLimitRequest(new TextEncoder().encode(body)), {
    scopeType: 'user',
    scopeId: 'x',
    amount: '5',
    period: 'monthly',
    pool: undefined,
  })
  const inherited = '{"__proto__":{"scope":{"type":"organization"},"amount":"1"}}'
  assert.equal(refusal(new TextEncoder().encode(inherited)), 'scope: Required')
})

test('limit-request: what asks for no shared budget is allowed on every limit', () => {
  for (const pool of [null, {}, { amount: null }, { paused: true }, { paused: null }]) {
    assert.equal(read({ ...org, pooled_budget: pool }).scopeType, 'organization')
    assert.equal(read({ ...group, period: 'weekly', pooled_budget: pool }).period, 'weekly')
  }
})
