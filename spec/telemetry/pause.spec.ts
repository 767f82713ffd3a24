/** Pauses of a collector: what counts, what does not, and what the operator is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPause, pauseMs } from '../../lib/telemetry/pause.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'

function setUp() {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const pause = createPause('https://o.example.com', clock, log)
  const fail = (times: number): void => {
    for (let count = 0; count < times; count++) pause.failed('500 Internal Server Error')
  }
  return { clock, lines, pause, fail }
}

test('telemetry pause: the fifth failure in a row skips the destination for 30 s', async () => {
  const { clock, lines, pause, fail } = setUp()
  fail(4)
  assert.equal(pause.skips(), false)
  fail(1)
  assert.equal(pause.skips(), true)
  assert.deepEqual(lines, [
    ...Array.from(
      { length: 5 },
      () => 'warn otel forward to https://o.example.com failed: 500 Internal Server Error',
    ),
    'warn otel dest https://o.example.com tripped; skipping 30s',
  ])
  await clock.advance(pauseMs - 1)
  assert.equal(pause.skips(), true)
  await clock.advance(1)
  assert.equal(pause.skips(), false)
})

test('telemetry pause: its end says how many exports were skipped', async () => {
  const { clock, lines, pause, fail } = setUp()
  fail(5)
  for (let count = 0; count < 7; count++) pause.skips()
  await clock.advance(pauseMs)
  assert.equal(
    lines.at(-1),
    'warn otel dest https://o.example.com is tried again; 7 export(s) were skipped in 30s',
  )
  fail(1)
  await clock.advance(pauseMs)
  assert.match(lines.at(-1) ?? '', /; 0 export\(s\) were skipped/)
})

test('telemetry pause: a success in between starts the count anew', () => {
  const { pause, fail } = setUp()
  fail(4)
  pause.succeeded()
  fail(4)
  assert.equal(pause.skips(), false)
  fail(1)
  assert.equal(pause.skips(), true)
})

test('telemetry pause: after it one failure is enough for the next, a success ends that', async () => {
  const { clock, lines, pause, fail } = setUp()
  fail(5)
  await clock.advance(pauseMs)
  fail(1)
  assert.equal(pause.skips(), true)
  await clock.advance(pauseMs)
  pause.succeeded()
  fail(4)
  assert.equal(pause.skips(), false)
  assert.equal(lines.filter((line) => line.includes('tripped')).length, 2)
})

test('telemetry pause: failures that arrive during a pause do not prolong it', async () => {
  const { clock, lines, pause, fail } = setUp()
  fail(5)
  await clock.advance(pauseMs - 1000)
  fail(20)
  await clock.advance(1000)
  assert.equal(pause.skips(), false)
  assert.equal(lines.filter((line) => line.includes('tripped')).length, 1)
})

test('telemetry pause: payload refusals never pause, and are warned of at the first and every hundredth', () => {
  const { lines, pause, fail } = setUp()
  for (let count = 0; count < 101; count++) pause.refused('400 Bad Request')
  assert.equal(pause.skips(), false)
  assert.deepEqual(lines, [
    "warn otel dest https://o.example.com refused an export's payload: 400 Bad Request (not counted as a dest failure)",
    "warn otel dest https://o.example.com refused an export's payload: 400 Bad Request (not counted as a dest failure; 100 refused so far)",
  ])
  fail(4)
  pause.refused('413 Payload Too Large')
  fail(1)
  assert.equal(pause.skips(), true, 'a refusal is no success')
})
