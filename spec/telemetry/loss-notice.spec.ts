import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLossNotice } from '../../lib/telemetry/loss-notice.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('loss notice: the first loss is told at once, the others together after a minute', async () => {
  const clock = createFakeClock()
  const said: number[] = []
  const lose = createLossNotice(clock, (count) => said.push(count))
  for (let count = 0; count < 1000; count++) lose()
  assert.deepEqual(said, [1])
  await clock.advance(59_999)
  assert.deepEqual(said, [1])
  await clock.advance(1)
  assert.deepEqual(said, [1, 999])
  lose()
  await clock.advance(60_000)
  assert.deepEqual(said, [1, 999, 1])
})

test('loss notice: after a minute without a loss nothing is told, and the next one at once', async () => {
  const clock = createFakeClock()
  const said: number[] = []
  const lose = createLossNotice(clock, (count) => said.push(count))
  lose()
  await clock.advance(600_000)
  assert.deepEqual(said, [1])
  lose()
  assert.deepEqual(said, [1, 1])
})
