import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdminError } from '../../../lib/spend/admin/answer.ts'
import { readChoice, readLimit, readQuery, storable } from '../../../lib/spend/admin/query.ts'

test('query: of a repeated parameter the first one counts', () => {
  assert.equal(readLimit(readQuery('?limit=2&limit=3'), 20), 2)
  assert.equal(readChoice(readQuery('?a=x&a=y'), 'a', ['x', 'y']), 'x')
})

test('query: a limit is a whole number of the range, an absent one the default', () => {
  assert.equal(readLimit(readQuery(''), 20), 20)
  assert.equal(readLimit(readQuery('?limit=1000'), 20), 1000)
  for (const bad of ['0', '1001', '', 'abc', '1.5', '-1', '1e2', '99999999999999999999']) {
    assert.throws(() => readLimit(readQuery(`?limit=${bad}`), 20), AdminError, bad)
  }
})

test('query: text for the database has no NUL and no half of a pair', () => {
  assert.equal(storable('a\u0000b\ud800'), 'ab\ufffd')
})
