import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFailure, failureCode } from '../../lib/egress/describe-failure.ts'

function coded(message: string, code: string): Error {
  return Object.assign(new Error(message), { code })
}

test('describe failure: the code stands first', () => {
  const refused = coded('connect ECONNREFUSED 10.0.0.1:443', 'ECONNREFUSED')
  assert.equal(describeFailure(refused), 'ECONNREFUSED: connect ECONNREFUSED 10.0.0.1:443')
})

test('describe failure: a name that does not resolve reads as the resolver says it', () => {
  const error = coded('getaddrinfo ENOTFOUND nowhere.example', 'ENOTFOUND')
  assert.equal(describeFailure(error), 'getaddrinfo ENOTFOUND nowhere.example')
})

test("describe failure: undici's word for a closed connection becomes the system's", () => {
  const error = coded('other side closed', 'UND_ERR_SOCKET')
  assert.equal(failureCode(error), 'ECONNRESET')
  assert.equal(describeFailure(error), 'ECONNRESET: other side closed')
})

test('describe failure: a name of several addresses shows each attempt', () => {
  const attempts = [coded('connect ECONNREFUSED ::1:443', 'ECONNREFUSED'), new Error('and another')]
  const error = Object.assign(new AggregateError(attempts), { code: 'ECONNREFUSED' })
  assert.equal(describeFailure(error), 'ECONNREFUSED: connect ECONNREFUSED ::1:443, and another')
})

test('describe failure: an error without a code, and what is no error, are still told', () => {
  assert.equal(describeFailure(new Error('odd')), 'odd')
  assert.equal(failureCode(new Error('odd')), null)
  assert.equal(describeFailure('a string'), 'a string')
})
