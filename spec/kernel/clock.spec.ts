import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, systemClock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('clock: sleep ends after its time', async () => {
  const clock = createFakeClock()
  let woke = false
  const sleeping = sleep(clock, 1000).then(() => (woke = true))
  await clock.advance(999)
  assert.equal(woke, false)
  await clock.advance(1)
  await sleeping
  assert.equal(woke, true)
})

test('clock: sleep ends early with the reason of its signal', async () => {
  const clock = createFakeClock()
  const controller = new AbortController()
  const sleeping = sleep(clock, 1000, controller.signal)
  controller.abort(new Error('client left'))
  await assert.rejects(sleeping, /client left/)
  await assert.rejects(sleep(clock, 1000, controller.signal), /client left/)
})

test('clock: the system clock runs timers and cancels them', async () => {
  const ran: string[] = []
  const cancelled = systemClock.after(1, () => ran.push('cancelled'))
  cancelled.cancel()
  const every = systemClock.every(1, () => ran.push('every'))
  systemClock.after(5, () => ran.push('after'))
  const keepAlive = setTimeout(() => {}, 10_000)
  while (!ran.includes('after') || !ran.includes('every')) {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  clearTimeout(keepAlive)
  every.cancel()
  assert.equal(ran.includes('cancelled'), false)
  assert.ok(systemClock.elapsed() > 0)
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
})
