/** What entries of availableModels and deniedModels cover. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAllowRule, createDenyRule, modelKey } from '../../lib/policy/model-rules.ts'

const admits = (entries: string[], id: string, exact = false): boolean =>
  createAllowRule(entries, exact)(modelKey(id))
const denies = (entries: string[], id: string): boolean => createDenyRule(entries)(modelKey(id))

test('available models: a family word admits every id that holds it as a word', () => {
  for (const id of ['claude-opus-5', 'us.anthropic.claude-opus-4-8', 'my-opus', 'opus', 'x:opus']) {
    assert.equal(admits(['opus'], id), true, id)
  }
  for (const id of ['opusplan', 'claude-opusx', 'opus5', 'claude-sonnet-5', '']) {
    assert.equal(admits(['opus'], id), false, id)
  }
})

test('available models: a named model of a family narrows the family word', () => {
  assert.equal(admits(['opus', 'claude-opus-4-8'], 'claude-opus-5'), false)
  assert.equal(admits(['opus', 'claude-opus-4-8'], 'claude-opus-4-8'), true)
  assert.equal(admits(['opus', 'claude-haiku-4-5'], 'claude-opus-5'), true)
  assert.equal(admits(['opus', 'opusplan'], 'claude-opus-5'), true)
})

test('available models: an id admits itself and what continues it after a dash', () => {
  assert.equal(admits(['claude-haiku-4-5'], 'CLAUDE-haiku-4-5-20251001'), true)
  assert.equal(admits(['claude-opus-5'], 'claude-opus-5-5'), true)
  assert.equal(admits(['claude-opus-5-5'], 'claude-opus-5'), false)
  assert.equal(admits(['claude-haiku-4-5'], 'claude-haiku-4-5@20251001'), false)
  assert.equal(admits(['claude-haiku-4-5'], 'us.anthropic.claude-haiku-4-5-20251001-v1:0'), false)
  assert.equal(admits(['haiku-4-5'], 'claude-haiku-4-5-20251001'), true)
})

test('available models: the long-context mark makes no difference', () => {
  assert.equal(admits(['claude-opus-5[1m]'], 'claude-opus-5-1'), true)
  assert.equal(admits(['claude-opus-5'], 'claude-opus-5[1M]'), true)
  assert.equal(admits(['opus[1m]'], 'claude-opus-5'), true)
})

test('available models: exact admits dates and variants of a whole version, no other version', () => {
  assert.equal(admits(['claude-opus-5'], 'claude-opus-5-5', true), false)
  assert.equal(admits(['claude-opus-5'], 'claude-opus-5', true), true)
  assert.equal(admits(['claude-opus-4'], 'claude-opus-4-20250514', true), true)
  assert.equal(admits(['claude-opus-4'], 'claude-opus-4-8', true), false)
  assert.equal(admits(['claude-opus-4-8'], 'claude-opus-4-8-fast', true), true)
  assert.equal(admits(['mine'], 'mine-2', true), false)
  assert.equal(admits(['opus'], 'claude-opus-5', true), true)
})

test('available models: an empty list and empty entries admit nothing', () => {
  for (const entries of [[], [''], ['  '], ['[1m]'], ['*'], ['claude-']]) {
    assert.equal(admits(entries, 'claude-opus-5'), false, JSON.stringify(entries))
    assert.equal(admits(entries, ''), false, JSON.stringify(entries))
  }
})

test('denied models: a version covers every spelling and its own minor versions', () => {
  assert.equal(denies(['claude-opus-5'], 'us.anthropic.claude-opus-5-5'), true)
  assert.equal(denies(['claude-opus-5-5'], 'claude-opus-5'), false)
  assert.equal(denies(['opus-4-8'], 'claude-opus-4-8-fast'), true)
  assert.equal(denies(['claude-3-5-sonnet-20241022'], 'claude-3-5-sonnet-v2@20241022'), true)
  assert.equal(denies(['claude-opus-4-8'], 'claude-opus-4-7'), false)
})

test('denied models: family words are not narrowed, other words cover themselves', () => {
  assert.equal(denies(['opus', 'claude-opus-4-8'], 'claude-opus-5'), true)
  assert.equal(denies(['mine'], 'MINE'), true)
  assert.equal(denies(['mine'], 'mine-2'), false)
  assert.equal(denies(['claude-opus'], 'claude-opus-5'), false)
  assert.equal(denies([''], ''), false)
})

test('model rules: an id longer than any model is covered by nothing, in no time', () => {
  const id = `claude-opus-5${'-'.repeat(32 * 1024 * 1024)}`
  assert.equal(admits(['opus', 'claude'], id), false)
  assert.equal(denies(['opus'], id), false)
})
