/** Values in words: enough to recognise a mistake, nothing that is a secret. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describePlace, describeValue, isSecretName } from '../../lib/config/describe.ts'
import { placeOf } from '../../lib/config/place.ts'

test('describe: plain values are shown, blocks and lists are named', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    ['nope', 'the text "nope"'],
    ['', 'empty text'],
    [5, 'the number 5'],
    [Number.POSITIVE_INFINITY, 'the number Infinity'],
    [true, 'true'],
    [null, 'nothing'],
    [undefined, 'nothing'],
    [[], 'an empty list'],
    [['x'], 'a list'],
    [{}, 'an empty block'],
    [{ a: 1, b: 2 }, 'a block with a, b'],
    [{ a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 }, 'a block with a, b, c, d, e, …'],
  ]
  for (const [value, words] of cases) assert.equal(describeValue(value, false), words)
})

test('describe: long texts are cut, and stay on one line', () => {
  const words = describeValue(`two words\n${'x y '.repeat(100)}`, false)
  assert.ok(words.length < 90)
  assert.ok(!words.includes('\n'))
  assert.match(words, /…"$/)
})

test('describe: a secret is counted, never shown', () => {
  assert.equal(describeValue('s3cret', true), 'text of 6 characters (hidden)')
  assert.equal(describeValue('', true), 'empty text')
  assert.equal(describeValue(5, true), 'a number')
})

test('describe: a value out of a reference is named by the reference', () => {
  const place = { ...placeOf('s3cret', 0), references: ['${A}', '${B}'] }
  assert.equal(describePlace(place, false), 'the value of ${A}, ${B} (hidden)')
  assert.equal(describePlace(undefined, false), 'nothing')
})

test('describe: credentials in the wrong place are recognised', () => {
  const credentials = [
    'sk-ant-api03-abc',
    'eyJhbGciOiJIUzI1NiJ9.e30.x',
    'AKIAIOSFODNN7EXAMPLE',
    'ghp_16C7e42F292c6912E7',
    'xoxb-1-2-abc',
    '-----BEGIN PRIVATE KEY-----\nMIIB',
    '0123456789abcdef0123456789abcdef',
  ]
  for (const credential of credentials) assert.match(describeValue(credential, false), /hidden/)
  for (const plain of ['claude-opus-4-8', 'https://login.example.com', 'us-east-1', 'a b c']) {
    assert.equal(describeValue(plain, false), `the text ${JSON.stringify(plain)}`)
  }
})

test('describe: a URL loses its credentials and its query', () => {
  assert.equal(
    describeValue('https://user:pass@example.com/x?key=abc', false),
    'the text "https://…@example.com/x?…"',
  )
})

test('describe: names that promise a credential are recognised inside open blocks', () => {
  for (const name of [
    'API_KEY',
    'apiKey',
    'Authorization',
    'db_password',
    'AUTH_TOKEN',
    'Cookie',
  ]) {
    assert.ok(isSecretName(name), name)
  }
  for (const name of ['model', 'env', 'permissions', 'text']) assert.ok(!isSecretName(name), name)
})
