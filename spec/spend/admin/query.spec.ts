import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindingOf, decodeToken, encodeToken } from '../../../lib/spend/admin/page-token.ts'
import { Query } from '../../../lib/spend/admin/query.ts'
import { centsText } from '../../../lib/spend/admin/format.ts'

test('query: of a repeated parameter the first counts, of a list all', () => {
  const query = new Query('?limit=2&limit=3&user_ids%5B%5D=a&user_ids[]=b')
  assert.equal(query.limit(20), 2)
  assert.deepEqual(query.all('user_ids[]'), ['a', 'b'])
  assert.equal(query.first('user_ids'), undefined)
})

test('query: a limit is whatever reads as a whole number from 1 to 1000', () => {
  for (const [text, limit] of [
    ['1', 1],
    ['1000', 1000],
    ['05', 5],
    ['5e1', 50],
    ['%205', 5],
  ] as const) {
    assert.equal(new Query(`?limit=${text}`).limit(20), limit)
  }
  assert.equal(new Query('').limit(20), 20)
  for (const text of ['0', '1001', '-1', '1.5', '', '%20', 'abc', 'Infinity', '1n']) {
    assert.throws(() => new Query(`?limit=${text}`).limit(20), /limit: must be between 1 and 1000/)
  }
})

test('query: two queries that ask the same share an identity, whatever page they are for', () => {
  const identity = (query: string): string => new Query(query).identity
  assert.equal(identity('?a=1&b=2&limit=5&page=x'), identity('?b=2&a=1'))
  for (const other of ['?a=1', '?a=1&b=3', '?a=1%26b=2', '?a=1&b=2&b=2']) {
    assert.notEqual(identity('?a=1&b=2'), identity(other))
  }
  assert.notEqual(bindingOf('a'), bindingOf('b'))
})

test('page-token: what was put in comes out, and nothing else is taken for one', () => {
  const fields = { p: 'ä"\u2028', c: 2.0999999999999996, s: true }
  assert.deepEqual(decodeToken(encodeToken(fields)), fields)
  assert.deepEqual(decodeToken('eyJwIjoidTIifQ'), { p: 'u2' })
  for (const text of ['', '%%%', 'bnVsbA', 'W10', 'MQ', encodeToken({ p: 'a\0' })]) {
    assert.equal(decodeToken(text), null, text)
  }
})

test('format: cents are told to thousandths, without the noise of doubles', () => {
  for (const [cents, text] of [
    [2.0999999999999996, '2.1'],
    [0.123456789, '0.123'],
    [0.0004, '0'],
    [53.8645, '53.864'],
    [-0.0001, '0'],
    [-3.5, '-3.5'],
    [12_345_678_901.123_457, '12345678901.123'],
    [1e-7, '0'],
  ] as const) {
    assert.equal(centsText(cents), text)
  }
})
