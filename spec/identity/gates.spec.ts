import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkGates, checkVerified, normaliseDomains } from '../../lib/identity/gates.ts'

const domains = { allowed_email_domains: ['@Example.com', ' corp.io '] }
const checkEmail = (email: string | undefined): string | null =>
  checkGates({ sub: 'u', email }, domains)

test('gates: without lists everybody passes', () => {
  assert.equal(checkGates({ sub: 'u' }, {}), null)
  assert.equal(checkGates({ sub: 'u' }, { allowed_email_domains: [], allowed_groups: [] }), null)
})

test('gates: the domain counts whatever its case', () => {
  for (const email of ['a@example.com', 'A@EXAMPLE.COM', 'a@corp.io']) {
    assert.equal(checkEmail(email), null, email)
  }
})

test('gates: the text after the last @ is the domain', () => {
  assert.equal(checkEmail('a@evil.com@example.com'), null)
  assert.equal(checkEmail('a@example.com@evil.com'), 'email domain not allowed')
})

test('gates: a subdomain or a domain that only ends alike is another one', () => {
  for (const email of ['a@sub.example.com', 'a@badexample.com', 'a@example.com.evil', 'a@']) {
    assert.equal(checkEmail(email), 'email domain not allowed', email)
  }
})

test('gates: a missing address is refused only when domains are restricted', () => {
  assert.match(checkEmail(undefined) ?? '', /^id_token missing email claim — /)
  assert.match(checkEmail('nodomain') ?? '', /^id_token missing email claim — /)
  assert.match(checkEmail('') ?? '', /^id_token missing email claim — /)
  assert.equal(checkGates({ sub: 'u' }, {}), null)
})

test('gates: a list of nothing but blanks admits nobody', () => {
  const blank = { allowed_email_domains: [' ', '@'] }
  assert.equal(checkGates({ sub: 'u', email: 'a@' }, blank), 'email domain not allowed')
})

test('gates: one common group is enough, spelled exactly', () => {
  const rules = { allowed_groups: ['eng', 'ops'] }
  assert.equal(checkGates({ sub: 'u', groups: ['x', 'ops'] }, rules), null)
  for (const groups of [undefined, [], ['Eng'], ['eng/sub'], [' eng']]) {
    assert.equal(
      checkGates({ sub: 'u', groups }, rules),
      'user is not a member of an allowed group',
    )
  }
})

test('gates: only an explicit false makes an address unverified', () => {
  assert.equal(
    checkVerified({ email_verified: false }, 'id_token'),
    'id_token email is not verified',
  )
  assert.equal(
    checkVerified({ email_verified: 'false' }, 'userinfo'),
    'userinfo email is not verified',
  )
  for (const email_verified of [true, 'true', undefined, null, 0]) {
    assert.equal(checkVerified({ email_verified }, 'id_token'), null)
  }
})

test('gates: domains are compared bare and in lower case', () => {
  assert.deepEqual(normaliseDomains(['@A.com', 'b.ORG ', '', '@']), ['a.com', 'b.org'])
})
