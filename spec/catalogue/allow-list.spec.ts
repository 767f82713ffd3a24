/** `upstreams[].models`: plain ids mean models, patterns mean what was sent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAllowList } from '../../lib/catalogue/allow-list.ts'
import type { Entry } from '../../lib/catalogue/entry.ts'

const entry = (...spellings: string[]): Entry => ({
  spellings: new Set(spellings),
  offers: [],
  model: null,
  listing: null,
})
const haiku = entry(
  'claude-haiku-4-5',
  'claude-haiku-4-5-20251001',
  'us.anthropic.claude-haiku-4-5',
)

test('allow list: without one, everything passes', () => {
  assert.equal(createAllowList(undefined)(haiku, 'claude-haiku-4-5'), true)
})

test('allow list: a plain id admits its model in every spelling, in any case', () => {
  const allows = createAllowList(['CLAUDE-haiku-4-5-20251001'])
  for (const spelling of haiku.spellings) assert.equal(allows(haiku, spelling), true)
  assert.equal(allows(entry('claude-opus-5'), 'claude-opus-5'), false)
})

test('allow list: a pattern admits the spelling that was sent and no other', () => {
  const allows = createAllowList(['claude-haiku-*'])
  assert.equal(allows(haiku, 'claude-haiku-4-5'), true)
  assert.equal(allows(haiku, 'us.anthropic.claude-haiku-4-5'), false)
})

const patterns: readonly [pattern: string, spelling: string, admitted: boolean][] = [
  ['*', 'claude-opus-5', true],
  ['*-5', 'claude-opus-5', true],
  ['*-5', 'claude-opus-5-1', false],
  ['CLAUDE-*-5', 'claude-opus-5', true],
  ['*haiku*', 'us.anthropic.claude-haiku-4-5', true],
  ['**', 'mine', true],
  ['claude-opus-5*', 'claude-opus-5', true],
  ['claude.opus*', 'claude-opus-5', false],
  ['m(ine*', 'm(ine-2', true],
  ['aba*ba', 'aba', false],
  ['aba*ba', 'ababa', true],
  ['a*b*c', 'a-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['a*bc*c', 'a-bc', false],
]
for (const [pattern, spelling, admitted] of patterns) {
  test(`allow list: ${pattern} ${admitted ? 'admits' : 'leaves out'} ${spelling}`, () => {
    assert.equal(createAllowList([pattern])(entry(spelling), spelling), admitted)
  })
}

test('allow list: stacked wildcards stay fast on a long id', () => {
  const allows = createAllowList([`${'*a'.repeat(12)}*b`])
  assert.equal(allows(entry('x'), 'a'.repeat(100_000)), false)
})
