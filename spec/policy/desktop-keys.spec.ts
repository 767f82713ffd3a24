/** The tables of desktop keys do not contradict each other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  computedDesktopKeys,
  desktopKeys,
  deviceOnlyDesktopKeys,
} from '../../lib/policy/desktop-keys.ts'

test('desktop keys: a key is allowed, computed or left to device management, never two', () => {
  const names = [
    ...Object.keys(desktopKeys),
    ...Object.keys(computedDesktopKeys),
    ...deviceOnlyDesktopKeys,
  ]
  assert.equal(new Set(names).size, names.length)
})
