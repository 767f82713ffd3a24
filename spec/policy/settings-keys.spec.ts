/** The table of settings keys holds together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { globalConfigKeys, ignoredSettings, settingsKeys } from '../../lib/policy/settings-keys.ts'

test('settings keys: every documented key is known, and none by an accident of prototypes', () => {
  assert.equal(Object.keys(settingsKeys).length, 157)
  for (const name of ['model', 'permissions', 'hooks', 'managedMcpServers', '$schema']) {
    assert.ok(Object.hasOwn(settingsKeys, name), name)
  }
})

test('settings keys: what clients ignore is known, what is no setting is not', () => {
  for (const name of Object.keys(ignoredSettings))
    assert.ok(Object.hasOwn(settingsKeys, name), name)
  for (const name of globalConfigKeys) assert.ok(!Object.hasOwn(settingsKeys, name), name)
})
