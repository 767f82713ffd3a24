import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  lookUp,
  overflownClaim,
  readEmail,
  readGroups,
  readSubject,
} from '../../lib/identity/claims.ts'

const rules = { email_claim: 'email', groups_claim: 'groups' }

test('claims: a flat name is a key, whatever characters it has', () => {
  const claims = { 'https://example.com/groups': ['a'], 'a.b': 1 }
  assert.deepEqual(lookUp(claims, 'https://example.com/groups'), ['a'])
  assert.equal(lookUp(claims, 'a.b'), 1)
  assert.equal(lookUp(claims, 'a'), undefined)
})

test('claims: a leading slash is a JSON pointer', () => {
  const claims = { resource_access: { gateway: { roles: ['r1', 'r2'] } }, 'a/b': { '~': 'x' } }
  assert.deepEqual(lookUp(claims, '/resource_access/gateway/roles'), ['r1', 'r2'])
  assert.equal(lookUp(claims, '/resource_access/gateway/roles/1'), 'r2')
  assert.equal(lookUp(claims, '/a~1b/~0'), 'x')
})

test('claims: a pointer into nothing is nothing', () => {
  const claims = { a: { b: ['x'] }, text: 'abc' }
  for (const pointer of ['/a/c', '/a/b/1', '/a/b/01', '/a/b/-1', '/a/b/length', '/text/0', '/']) {
    assert.equal(lookUp(claims, pointer), undefined, pointer)
  }
})

test('claims: what every object inherits is no claim', () => {
  assert.equal(lookUp({}, 'constructor'), undefined)
  assert.equal(lookUp({}, '/__proto__/toString'), undefined)
})

test('claims: of a list of address claims the first one present counts', () => {
  const list = { ...rules, email_claim: ['upn', 'email'] }
  assert.equal(readEmail({ upn: 'u@x.com', email: 'e@x.com' }, list), 'u@x.com')
  assert.equal(readEmail({ email: 'e@x.com' }, list), 'e@x.com')
  assert.equal(readEmail({ upn: null, email: 'e@x.com' }, list), 'e@x.com')
  assert.equal(readEmail({ upn: 5, email: 'e@x.com' }, list), undefined, 'present, but no address')
})

test('claims: an address that is no text is absent, an empty one is kept', () => {
  assert.equal(readEmail({ email: 5 }, rules), undefined)
  assert.equal(readEmail({ email: '' }, rules), '')
  assert.equal(readEmail({}, rules), undefined)
})

test('claims: groups come as a list, as one text, or not at all', () => {
  assert.deepEqual(readGroups({ groups: ['a', 'b'] }, rules), ['a', 'b'])
  assert.deepEqual(readGroups({ groups: 'eng' }, rules), ['eng'])
  assert.deepEqual(readGroups({ groups: ['a', 1, null, '', { x: 1 }, 'b'] }, rules), ['a', 'b'])
  assert.equal(readGroups({ groups: { a: true } }, rules), undefined)
  assert.equal(readGroups({ groups: 5 }, rules), undefined)
  assert.equal(readGroups({}, rules), undefined)
})

test('claims: the principal is sub unless another claim is named', () => {
  assert.equal(readSubject({ sub: 's', oid: 'o' }, rules), 's')
  assert.equal(readSubject({ sub: 's', oid: 'o' }, { ...rules, user_id_claim: 'oid' }), 'o')
  assert.equal(
    readSubject({ sub: 's', ids: { a: 'o' } }, { ...rules, user_id_claim: '/ids/a' }),
    'o',
  )
})

test('claims: a named principal that is missing is no principal, sub or not', () => {
  for (const oid of [undefined, null, 5, '', ['o']]) {
    assert.equal(readSubject({ sub: 's', oid }, { ...rules, user_id_claim: 'oid' }), null)
  }
})

test('claims: groups that Entra ID left out are told apart from no groups', () => {
  assert.equal(overflownClaim({ _claim_names: { groups: 'src1' } }, rules), 'groups')
  assert.equal(overflownClaim({ hasgroups: 'true' }, rules), 'groups')
  assert.equal(
    overflownClaim({ _claim_names: { roles: 'src1' } }, { ...rules, groups_claim: 'roles' }),
    'roles',
  )
  assert.equal(overflownClaim({ _claim_names: { other: 'src1' } }, rules), null)
  assert.equal(overflownClaim({ _claim_names: 'groups' }, rules), null)
  assert.equal(overflownClaim({ groups: ['a'] }, rules), null)
})
