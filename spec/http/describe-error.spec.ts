import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeBug, describeError } from '../../lib/http/describe-error.ts'

test('describe error: name, code and message, then each cause', () => {
  const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' })
  const broke = new TypeError('upstream broke', { cause: reset })
  assert.equal(describeError(broke), 'TypeError: upstream broke <- Error [ECONNRESET]: read')
})

test('describe error: what could not be parsed is not quoted', () => {
  const thrown = (() => {
    try {
      return JSON.parse('my secret prompt')
    } catch (error) {
      return error
    }
  })()
  assert.equal(describeError(thrown), 'SyntaxError')
  assert.doesNotMatch(describeBug(thrown), /secret/)
})

test('describe error: values that are no errors are named by their kind alone', () => {
  assert.equal(describeError('secret'), 'a thrown string')
  assert.equal(describeError(null), 'a thrown object')
  assert.equal(describeError(new Error('a', { cause: 'secret' })), 'Error: a <- a thrown string')
})

test('describe error: a chain of causes in a circle ends', () => {
  const error = new Error('round')
  error.cause = error
  assert.equal(describeError(error).split(' <- ').length, 4)
})

test('describe error: a bug is told with where it happened', () => {
  const text = describeBug(new RangeError('out'))
  assert.match(text, /^RangeError: out at .*describe-error\.spec\.ts/)
  assert.ok(text.split(' at ').length <= 6)
})
