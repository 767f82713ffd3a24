/** Which offset a complaint about a path points at. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offsetOf, offsetOfKey, type Place, placeAt, placeOf } from '../../lib/config/place.ts'

const scalar = placeOf('x', 30)
const list: Place = { ...placeOf(['x'], 25), items: [scalar] }
const block: Place = {
  ...placeOf({ b: ['x'], c: 'x' }, 12),
  entries: new Map([
    ['b', { keyAt: 20, place: list }],
    ['c', { keyAt: 40, place: placeOf('x', 43) }],
  ]),
}
const root: Place = {
  ...placeOf({ a: block.value }, 0),
  entries: new Map([['a', { keyAt: 10, place: block }]]),
}

test('place: a scalar is pointed at itself, a block or list at its key', () => {
  assert.equal(offsetOf(root, ['a', 'c']), 43)
  assert.equal(offsetOf(root, ['a', 'b', 0]), 30)
  assert.equal(offsetOf(root, ['a', 'b']), 20)
  assert.equal(offsetOf(root, ['a']), 10)
  assert.equal(offsetOf(root, []), 0)
})

test('place: what is missing is pointed at where it should be', () => {
  assert.equal(offsetOf(root, ['z']), 0)
  assert.equal(offsetOf(root, ['a', 'z', 'y']), 10)
  assert.equal(offsetOf(root, ['a', 'b', 7]), 20)
})

test('place: a path finds its value, or nothing', () => {
  assert.equal(placeAt(root, ['a', 'b', 0]), scalar)
  assert.equal(placeAt(root, []), root)
  assert.equal(placeAt(root, ['a', 'z']), undefined)
  assert.equal(placeAt(root, ['a', 'b', 'length']), undefined)
})

test('place: a key has an offset of its own', () => {
  assert.equal(offsetOfKey(root, ['a', 'c']), 40)
  assert.equal(offsetOfKey(root, ['a', 'b', 0]), 30)
  assert.equal(offsetOfKey(root, ['a', 'z']), 10)
  assert.equal(offsetOfKey(root, []), 0)
})
