/** What each policy comes to once the base is under it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMerges, effectiveSettings } from '../../lib/policy/effective.ts'

test('effective settings: every policy stands on the base, the base on nothing', () => {
  assert.deepEqual(
    effectiveSettings([
      { match: { groups: ['a'] }, cli: { env: { A: '1' } } },
      { match: { groups: ['b'] } },
      { cli: { env: { B: '2' }, deniedModels: ['x', 'x'] } },
      { match: { groups: ['late'] }, settings: { model: 'm' } },
    ]),
    [
      { env: { B: '2', A: '1' }, deniedModels: ['x', 'x'] },
      { env: { B: '2' }, deniedModels: ['x', 'x'] },
      { env: { B: '2' }, deniedModels: ['x', 'x'] },
      { env: { B: '2' }, deniedModels: ['x', 'x'], model: 'm' },
    ],
  )
})

test('effective settings: without a base each policy is its own', () => {
  const policies = [
    { match: { groups: ['a'] }, code: { model: 'm' } },
    { match: { groups: ['b'] } },
  ]
  assert.deepEqual(effectiveSettings(policies), [{ model: 'm' }, {}])
  assert.deepEqual(effectiveSettings([]), [])
})

test('effective settings: cli wins over its old name', () => {
  assert.deepEqual(effectiveSettings([{ cli: { model: 'new' }, settings: { model: 'old' } }]), [
    { model: 'new' },
  ])
})

test('effective settings: boot says which keys of the base a policy changes', () => {
  const policies = [
    { match: { groups: ['a'] }, cli: { env: { A: '1' }, model: 'm' } },
    { match: { groups: ['b'] }, cli: { permissions: {} } },
    { cli: { env: { B: '2' } } },
  ]
  assert.deepEqual(describeMerges(policies), [
    'managed.policies[0] after merge with the base, changed keys: env',
  ])
  assert.deepEqual(describeMerges(policies.slice(0, 2)), [])
})
