import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quote, refuse, succeed, unavailable } from '../../lib/identity/outcome.ts'

test('outcome: a success carries its value', () => {
  assert.deepEqual(succeed(5), { ok: true, value: 5 })
})

test('outcome: a refusal is the person’s, an outage nobody’s', () => {
  assert.deepEqual(refuse('claims', 'no').failure, { step: 'claims', refused: true, reason: 'no' })
  assert.equal(unavailable('claims', 'no').failure.refused, false)
})

test('outcome: quotes of foreign texts are bounded', () => {
  assert.equal(quote('short'), 'short')
  assert.equal(quote('x'.repeat(1000)).length, 301)
  assert.equal(quote('abcdef', 3), 'abc…')
})
