import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asObject, asString, asStrings, parseObject } from '../../lib/identity/json-object.ts'

test('json object: only an object is one', () => {
  assert.deepEqual(parseObject('{"a":1}'), { a: 1 })
  for (const text of ['', 'null', '[]', '5', '"x"', '{', '<html>', '{"a":1} x']) {
    assert.equal(parseObject(text), null, text)
  }
  assert.equal(asObject(undefined), null)
})

test('json object: a __proto__ key is data and changes no prototype', () => {
  const parsed = parseObject('{"__proto__":{"sub":"x"}}')
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype)
  assert.equal(parsed?.['sub'], undefined)
})

test('json object: texts are texts', () => {
  assert.equal(asString(''), '')
  assert.equal(asString(5), undefined)
  assert.equal(asString(null), undefined)
})

test('json object: a list keeps its texts, a lone text is a list of one', () => {
  assert.deepEqual(asStrings(['a', 2, '', null, 'b']), ['a', 'b'])
  assert.deepEqual(asStrings([]), [])
  assert.deepEqual(asStrings('a'), ['a'])
  assert.deepEqual(asStrings(''), [])
  for (const value of [undefined, null, 5, {}, true]) assert.equal(asStrings(value), undefined)
})
