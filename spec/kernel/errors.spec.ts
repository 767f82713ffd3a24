import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorTable, fail, GatewayError } from '../../lib/kernel/errors.ts'

test('errors: fail throws the row of its code', () => {
  assert.throws(
    () => fail('store/unavailable', { cause: new Error('ECONNREFUSED 10.0.0.1') }),
    (error) => {
      assert.ok(error instanceof GatewayError)
      assert.equal(error.code, 'store/unavailable')
      assert.equal(error.message, 'store unavailable')
      assert.equal(error.retryAfterSeconds, 5)
      assert.ok(error.cause instanceof Error)
      return true
    },
  )
})

test('errors: a message given at the call replaces the one of the row', () => {
  const error = new GatewayError('inference/all-failed', {
    message: 'all upstreams failed (2 attempted)',
  })
  assert.equal(error.message, 'all upstreams failed (2 attempted)')
})

test('errors: every 429, 503 and 529 of our own says when to come back', () => {
  for (const [code, row] of Object.entries(errorTable)) {
    if (![429, 503, 529].includes(row.status)) continue
    assert.ok((row.retryAfterSeconds ?? 0) > 0, `${code} has no retryAfterSeconds`)
  }
})

test('errors: every row that is not plain text has its wire type', () => {
  for (const [code, row] of Object.entries(errorTable)) {
    assert.equal(row.form === 'text', row.type === undefined, code)
  }
})
