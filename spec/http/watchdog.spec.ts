import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWatchdog } from '../../lib/http/watchdog.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('watchdog: a wait expires once, after its limit and at most five seconds late', async () => {
  const clock = createFakeClock()
  const watchdog = createWatchdog(clock)
  let expired = 0
  watchdog.start(30_000, () => expired++)
  await clock.advance(29_999)
  assert.equal(expired, 0)
  await clock.advance(5_001)
  assert.equal(expired, 1)
  await clock.advance(120_000)
  assert.equal(expired, 1)
})

test('watchdog: a touch lets the limit count anew', async () => {
  const clock = createFakeClock()
  const watchdog = createWatchdog(clock)
  let expired = false
  const wait = watchdog.start(30_000, () => (expired = true))
  for (let round = 0; round < 5; round++) {
    await clock.advance(25_000)
    watchdog.touch(wait)
  }
  assert.equal(expired, false)
  await clock.advance(35_000)
  assert.equal(expired, true)
})

test('watchdog: a stopped wait never expires, and stopping twice is no mistake', async () => {
  const clock = createFakeClock()
  const watchdog = createWatchdog(clock)
  let expired = false
  const wait = watchdog.start(30_000, () => (expired = true))
  watchdog.stop(wait)
  watchdog.stop(wait)
  await clock.advance(120_000)
  assert.equal(expired, false)
})

test('watchdog: waits started while others expire are kept', async () => {
  const clock = createFakeClock()
  const watchdog = createWatchdog(clock)
  let second = 0
  watchdog.start(30_000, () => void watchdog.start(30_000, () => second++))
  await clock.advance(35_000)
  assert.equal(second, 0)
  await clock.advance(35_000)
  assert.equal(second, 1)
})

test('watchdog: closed, it leaves no timer behind', async () => {
  const clock = createFakeClock()
  const watchdog = createWatchdog(clock)
  let expired = false
  watchdog.start(30_000, () => (expired = true))
  watchdog.close()
  await clock.advance(120_000)
  assert.equal(expired, false)
})
