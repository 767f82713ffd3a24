/** What boots, but surprises people. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMatch, warnAboutPolicies } from '../../lib/policy/policies-check.ts'
import type { Policy } from '../../lib/policy/policy.ts'

const warnings = (...policies: Policy[]): string[] => {
  const lines: string[] = []
  warnAboutPolicies(policies, ['p'], {
    error: () => assert.fail('these are warnings'),
    warn: (path, text) => lines.push(`${path.join('.')}: ${text}`),
  })
  return lines
}
const desktop = {}
const places = (...policies: Policy[]): (string | undefined)[] =>
  warnings(...policies).map((line) => line.split(':')[0])

test('policies: a sound list says nothing', () => {
  const eng: Policy = { match: { groups: ['eng'] }, cli: { availableModels: ['opus'] } }
  assert.deepEqual(warnings(eng, { cli: {}, desktop }), [])
})

test('policies: nobody with a desktop block is worth a line', () => {
  assert.deepEqual(places({ cli: {} }), ['p'])
  assert.deepEqual(places(), ['p'])
  assert.deepEqual(places({ match: { groups: ['a'] }, desktop }), [])
})

test('policies: a catch-all that is not last hides those after it', () => {
  const last: Policy = { match: { groups: ['a'] }, desktop }
  assert.match(warnings({}, last)[0] ?? '', /^p\.0: .*the policy after it never matches/)
  assert.match(warnings({}, { match: {} }, last)[0] ?? '', /^p\.0: .*the 2 after it never match/)
  assert.equal(warnings(last, {}).length, 0)
})

test('policies: an empty availableModels is named with the policy and its matcher', () => {
  const limited: Policy = { match: { groups: ['a', 'b'] }, code: { availableModels: [] }, desktop }
  assert.match(
    warnings(limited)[0] ?? '',
    /^p\.0\.code\.availableModels: policy 0 \(groups a, b\): availableModels is empty/,
  )
})

test('policies: a list without the model clients start with is worth a line', () => {
  const left = (cli: Policy['cli']): boolean =>
    warnings({ cli }).some((line) => /leaves out claude-opus-4-7/.test(line))
  assert.equal(left({ availableModels: ['sonnet'] }), true)
  assert.equal(left({ availableModels: ['default'] }), true)
  assert.equal(left({ availableModels: ['opus', 'claude-opus-5'] }), true)
  assert.equal(left({ availableModels: ['claude-opus-4'], availableModelsMatch: 'exact' }), true)
  assert.equal(left({ availableModels: ['opus'] }), false)
  assert.equal(left({ availableModels: ['claude-opus-4-7'] }), false)
  assert.equal(left({ availableModels: ['sonnet'], enforceAvailableModels: true }), false)
  assert.equal(left({ availableModels: ['haiku'], model: 'claude-opus-4-8' }), false)
  assert.equal(left({}), false)
})

test('policies: an inherited list is reported at the policy that inherits it', () => {
  const policies: Policy[] = [
    { match: { email_domain: 'x.com' }, cli: { model: 'a' } },
    { match: { groups: ['q'] } },
    { cli: { availableModels: ['haiku'] }, desktop },
  ]
  const lines = warnings(...policies).filter((line) => line.includes('leaves out'))
  assert.match(lines[0] ?? '', /^p\.1: policy 1 \(groups q\)/)
  assert.match(lines[1] ?? '', /^p\.2\.cli\.availableModels: policy 2 \(everybody\)/)
  assert.equal(lines.length, 2)
})

const env = { env: { A: '1' } }
const reach: readonly [what: string, policy: Policy, places: string[]][] = [
  ['cli beside desktop does not reach the Code tab', { cli: env, desktop }, ['p.0.cli']],
  ['so under its old name', { settings: env, desktop }, ['p.0.settings']],
  ['served or not', { cli: env, desktop, serve_to_desktop: true }, ['p.0.cli']],
  ['unless said to be meant', { cli: env, desktop, serve_to_desktop: false }, []],
  ['an empty cli has nothing to reach anybody', { cli: {}, desktop }, []],
  ['code reaches it under conditions', { code: env, desktop }, ['p.0.code']],
  ['serve_to_desktop: true beside code is fine', { code: {}, desktop, serve_to_desktop: true }, []],
  [
    'serve_to_desktop: false beside code is ignored',
    { code: env, desktop, serve_to_desktop: false },
    ['p.0.code', 'p.0.serve_to_desktop'],
  ],
]
for (const [what, policy, expected] of reach) {
  test(`policies: ${what}`, () => {
    assert.deepEqual(places(policy), expected)
  })
}

test('policies: a matcher in words', () => {
  assert.equal(describeMatch({}), 'everybody')
  assert.equal(describeMatch({ match: { email_domain: 'x.com' } }), 'email_domain x.com')
  assert.equal(
    describeMatch({ match: { groups: ['a', 'b'], email_domain: 'x.com' } }),
    'groups a, b and email_domain x.com',
  )
})
