import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bounded, createMemoryLog, resolveBySystem } from '../../lib/doctor/parts.ts'
import { createFakeClock } from '../support/fake-clock.ts'

test('doctor bounds: work that hangs is left after its time and told to stop', async () => {
  const clock = createFakeClock(0)
  let told: AbortSignal | undefined
  const waiting = bounded(clock, 'the wait', 5_000, (signal) => {
    told = signal
    return new Promise<never>(() => {})
  })
  clock.advance(5_000)
  await assert.rejects(waiting, /the wait timed out after 5000 ms/)
  assert.equal(told?.aborted, true)
})

test('doctor bounds: work that ends in time settles as it did', async () => {
  const clock = createFakeClock(0)
  assert.equal(await bounded(clock, 'it', 10, () => Promise.resolve(7)), 7)
  await assert.rejects(
    bounded(clock, 'it', 10, () => Promise.reject(new Error('broke'))),
    /broke/,
  )
})

test('doctor log: warnings are kept, and a part that repeats itself fills no memory', () => {
  const { log, lines } = createMemoryLog()
  log.info('not kept')
  for (let i = 0; i < 1000; i++) log.warn(`line ${i}`)
  assert.equal(lines.length, 100)
  assert.equal(lines[0], 'line 0')
})

test('doctor names: the system resolves localhost', async () => {
  const addresses = await resolveBySystem('localhost')
  assert.ok(addresses.some((address) => address === '127.0.0.1' || address === '::1'))
})
