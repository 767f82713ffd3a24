import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withDeadline } from '../../lib/identity/deadline.ts'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('deadline: work that is done in time gives its value, and nothing is aborted', async () => {
  const clock = createFakeClock()
  let signal: AbortSignal | undefined
  const value = await withDeadline(clock, 'it', 100, (given) => {
    signal = given
    return Promise.resolve(5)
  })
  assert.equal(value, 5)
  await clock.advance(200)
  assert.equal(signal?.aborted, false)
})

test('deadline: work that fails in time fails with its own error', async () => {
  await assert.rejects(
    withDeadline(createFakeClock(), 'it', 100, () => Promise.reject(new Error('own'))),
    /own/,
  )
})

test('deadline: work that hangs is told to stop, and the wait ends naming it', async () => {
  const clock = createFakeClock()
  let signal: AbortSignal | undefined
  const waiting = withDeadline(clock, 'identity provider', 100, (given) => {
    signal = given
    return new Promise<never>(() => {})
  })
  const ended = assert.rejects(waiting, (error) => {
    assert.ok(error instanceof DeadlineExceeded)
    assert.equal(error.message, 'identity provider timed out after 100 ms')
    return true
  })
  await clock.advance(99)
  assert.equal(signal?.aborted, false)
  await clock.advance(1)
  await ended
  assert.equal(signal?.aborted, true)
})

test('deadline: what fails after the wait is over disturbs nobody', async () => {
  const clock = createFakeClock()
  let failLate: (() => void) | undefined
  const late = new Promise<never>((_, reject) => {
    failLate = () => reject(new Error('late'))
  })
  const ended = assert.rejects(
    withDeadline(clock, 'it', 100, () => late),
    DeadlineExceeded,
  )
  await clock.advance(100)
  await ended
  failLate?.()
  // An unhandled rejection would fail this file.
  await new Promise((resolve) => setImmediate(resolve))
})
