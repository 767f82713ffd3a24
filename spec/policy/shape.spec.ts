/** The builders of the shape language make what they say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { is } from '../../lib/policy/shape.ts'

test('shape: blocks are open unless they say otherwise', () => {
  assert.equal(is.block({ a: is.text }).closed, false)
  assert.equal(is.closedBlock({ a: is.text }).closed, true)
  assert.deepEqual(is.oneOf({ a: is.text, b: is.text }).oneOf, ['a', 'b'])
  assert.deepEqual(is.block({ a: is.text }, ['a']).required, ['a'])
})

test('shape: lists and maps know what they hold', () => {
  assert.deepEqual(is.list(is.text), { kind: 'list', item: is.text, filled: false })
  assert.deepEqual(is.filledList(is.text), { kind: 'list', item: is.text, filled: true })
  assert.deepEqual(is.map(is.flag), { kind: 'map', item: is.flag, names: null })
})
