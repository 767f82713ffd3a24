import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import { createDeadline } from '../../lib/store/deadline.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('store deadline: work that ends in time keeps its outcome', async () => {
  const clock = createFakeClock()
  const deadline = createDeadline(clock, 1000, 'work')
  assert.equal(await deadline.bound(Promise.resolve(7)), 7)
  await assert.rejects(deadline.bound(Promise.reject(new Error('own'))), /own/)
  assert.equal(deadline.isOver(), false)
  deadline.cancel()
})

test('store deadline: all steps share one time', async () => {
  const clock = createFakeClock()
  const deadline = createDeadline(clock, 1000, 'the call')
  const never = new Promise<never>(() => {})
  const first = assert.rejects(deadline.bound(never), /the call timed out after 1000 ms/)
  await clock.advance(999)
  assert.equal(deadline.isOver(), false)
  await clock.advance(1)
  await first
  assert.equal(deadline.isOver(), true)
  await assert.rejects(deadline.bound(never), DeadlineExceeded)
})

test('store deadline: a cancelled one never strikes', async () => {
  const clock = createFakeClock()
  const deadline = createDeadline(clock, 1000, 'the call')
  deadline.cancel()
  await clock.advance(5000)
  assert.equal(deadline.isOver(), false)
})
