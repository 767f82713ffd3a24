/** Which policy a caller gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { basePolicy, createPolicyMatcher } from '../../lib/policy/match.ts'
import type { Policy, PolicyMatch } from '../../lib/policy/policy.ts'

const caller = (email: string | undefined, ...groups: string[]): Caller => ({
  sub: 'u1',
  email,
  name: undefined,
  groups,
  expiresAt: 0,
})
const policies: Policy[] = [
  { match: { groups: ['r2'] } },
  { match: { groups: ['r1', 'r1b'] } },
  { match: { email_domain: 'corp.com' } },
  { match: { groups: ['r3'], email_domain: 'X.com' } },
  { match: {} },
]
const match = createPolicyMatcher(policies)

const cases: readonly [who: string, caller: Caller, index: number][] = [
  ['a member of one of the groups', caller('u@example.com', 'z', 'r1b'), 1],
  ['a member of two policies gets the first in the file', caller('u@example.com', 'r1', 'r2'), 0],
  ['a group in another case', caller('u@example.com', 'R1'), 4],
  ['an address in the domain, in any case', caller('x@CORP.com'), 2],
  ['an address in a subdomain', caller('x@a.corp.com'), 4],
  ['an address that only ends like the domain', caller('x@notcorp.com'), 4],
  ['an address with two at signs', caller('"x@other.com"@corp.com'), 2],
  ['group and domain together', caller('a@x.com', 'r3'), 3],
  ['the group without the domain', caller('a@y.com', 'r3'), 4],
  ['the domain without the group', caller('a@x.com'), 4],
  ['no address', caller(undefined), 4],
  ['something that is no address', caller('corp.com'), 4],
]
for (const [who, person, index] of cases) {
  test(`policy match: ${who} → policy ${index}`, () => {
    assert.equal(match(person), index)
    assert.equal(match(person), index, 'the same again')
  })
}

test('policy match: nobody fits without a catch-all', () => {
  assert.equal(createPolicyMatcher(policies.slice(0, 4))(caller('u@example.com')), -1)
  assert.equal(createPolicyMatcher([])(caller('u@example.com')), -1)
})

test('policy match: no matcher, an empty one and an undefined one are catch-alls', () => {
  const catchAlls: (PolicyMatch | undefined)[] = [undefined, {}, { groups: undefined }]
  for (const rule of catchAlls) {
    assert.equal(createPolicyMatcher([{ match: rule }])(caller(undefined)), 0)
  }
})

test('policy match: the base is the first catch-all, wherever it stands', () => {
  const [first, second]: Policy[] = [{ cli: { a: 1 } }, { match: {}, cli: { b: 1 } }]
  assert.ok(first !== undefined && second !== undefined)
  assert.equal(basePolicy([...policies.slice(0, 2), first, second]), first)
  assert.equal(basePolicy(policies.slice(0, 4)), undefined)
  assert.equal(createPolicyMatcher([first, ...policies])(caller('x@corp.com', 'r1')), 0)
})
