/** A policy's settings over those of the base. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { changedKeys, mergeSettings } from '../../lib/policy/merge.ts'
import type { JsonObject } from '../../lib/policy/policy.ts'

const fixtures = join(import.meta.dirname, '../fixtures/policy')
const read = (name: string) => JSON.parse(readFileSync(join(fixtures, name), 'utf8'))
const { base, role }: { base: JsonObject; role: JsonObject } = read('merge-input.json')
const recorded: { config: string; request: string; body: string }[] = read('managed.json')
const served = (request: string): string => {
  const found = recorded.find((each) => each.config === 'merge' && each.request === request)
  return JSON.stringify(JSON.parse(found?.body ?? '{}').settings)
}

test('merge: every key class comes out as recorded, in the recorded order', () => {
  assert.equal(JSON.stringify(mergeSettings(base, role)), served('role r1 merged'))
})

test('merge: an empty policy equals the base, and the base is untouched by merging', () => {
  const before = JSON.stringify(base)
  assert.equal(JSON.stringify(mergeSettings(base, {})), served('r2 empty cli'))
  mergeSettings(base, role)
  assert.equal(JSON.stringify(base), before)
})

test('merge: without a base, or without settings of its own, a document is taken as it is', () => {
  const own = { permissions: { deny: ['A', 'A'] } }
  assert.equal(mergeSettings(undefined, own), own)
  assert.equal(mergeSettings(own, undefined), own)
  assert.deepEqual(mergeSettings(undefined, undefined), {})
})

test('merge: denied models, ask and deny rules add up, each once', () => {
  const merged = mergeSettings(
    { deniedModels: ['a', 'a'], permissions: { deny: ['A', 'A'], ask: ['X'] } },
    { deniedModels: ['b', 'a', 'b'], permissions: { deny: ['B', 'A', 'B'] } },
  )
  assert.deepEqual(merged, {
    deniedModels: ['a', 'b'],
    permissions: { deny: ['A', 'B'], ask: ['X'] },
  })
})

test('merge: a list that adds up loses its duplicates even where the base has none', () => {
  assert.deepEqual(mergeSettings({}, { disabledMcpjsonServers: ['q', 'q'] }), {
    disabledMcpjsonServers: ['q'],
  })
})

test('merge: hooks add up per event and the same hook counts once', () => {
  const stop = { hooks: [{ type: 'command', command: 'a' }] }
  assert.deepEqual(
    mergeSettings({ hooks: { Stop: [stop] } }, { hooks: { Stop: [stop], PreToolUse: [] } }),
    { hooks: { Stop: [stop], PreToolUse: [] } },
  )
})

const replaced: readonly [key: string, base: unknown, own: unknown][] = [
  ['sandbox', { enabled: true }, { network: {} }],
  ['managedMcpServers', { a: { type: 'http', url: 'https://a' } }, {}],
  ['modelPricing', { multiplier: 2 }, {}],
  ['enabledPlugins', { 'a@b': true }, { 'c@d': true }],
  ['availableModels', ['a', 'b'], []],
  ['companyAnnouncements', ['a'], []],
  ['allowedProviders', ['gateway'], ['bedrock']],
  ['strictPluginOnlyCustomization', ['skills'], true],
  ['model', 'a', 'b'],
  ['newKeyNobodyKnows', { a: 1 }, { b: 1 }],
]
for (const [key, inherited, own] of replaced) {
  test(`merge: ${key} is replaced whole`, () => {
    assert.deepEqual(mergeSettings({ [key]: inherited }, { [key]: own }), { [key]: own })
    assert.deepEqual(mergeSettings({ [key]: inherited }, {}), { [key]: inherited })
  })
}

test('merge: unknown keys of permissions are replaced, scalars inherited', () => {
  const merged = mergeSettings(
    { permissions: { extra: ['a'], defaultMode: 'plan' } },
    { permissions: { extra: ['b'] } },
  )
  assert.deepEqual(merged, { permissions: { extra: ['b'], defaultMode: 'plan' } })
})

test('merge: prototype names are ordinary keys', () => {
  const base: JsonObject = JSON.parse('{"env":{"__proto__":"a","constructor":"b"}}')
  const own: JsonObject = JSON.parse('{"env":{"__proto__":"c"},"__proto__":{"x":1}}')
  const merged = mergeSettings(base, own)
  assert.equal(
    JSON.stringify(merged),
    '{"env":{"__proto__":"c","constructor":"b"},"__proto__":{"x":1}}',
  )
  assert.equal(Object.getPrototypeOf(merged), Object.prototype)
  assert.deepEqual(mergeSettings({}, { toString: 'x' }), { toString: 'x' })
})

test('merge: changed keys are those of the base that came out different', () => {
  const base = { env: { A: 1 }, model: 'a', hooks: {} }
  const merged = mergeSettings(base, { env: { B: 2 }, hooks: {}, permissions: {} })
  assert.deepEqual(changedKeys(base, merged), ['env'])
})
