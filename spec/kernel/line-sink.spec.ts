import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFileSink } from '../../lib/kernel/line-sink.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function temporaryFile(t: { after(action: () => void): void }): {
  path: string
  descriptor: number
} {
  const folder = mkdtempSync(join(tmpdir(), 'line-sink-'))
  const path = join(folder, 'lines')
  const descriptor = openSync(path, 'w')
  t.after(() => rmSync(folder, { recursive: true }))
  return { path, descriptor }
}

test('line sink: lines arrive whole and in order, also those added while a write runs', async (t) => {
  const { path, descriptor } = temporaryFile(t)
  const sink = createFileSink(descriptor, systemClock)
  const lines = Array.from(
    { length: 5000 },
    (_, index) => `line ${index} ${'ü'.repeat(index % 50)}\n`,
  )
  for (const [index, line] of lines.entries()) {
    sink.line(line)
    if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await sink.drained()
  assert.equal(readFileSync(path, 'utf8'), lines.join(''))
  closeSync(descriptor)
})

test('line sink: nothing is written within the call, so a request never waits for the disk', async (t) => {
  const { path, descriptor } = temporaryFile(t)
  const sink = createFileSink(descriptor, systemClock)
  sink.line('later\n')
  assert.equal(readFileSync(path, 'utf8'), '')
  await sink.drained()
  assert.equal(readFileSync(path, 'utf8'), 'later\n')
  closeSync(descriptor)
})

test('line sink: lines soon after a write wait for each other, and drained waits for none', async (t) => {
  const { path, descriptor } = temporaryFile(t)
  const clock = createFakeClock(0)
  const sink = createFileSink(descriptor, clock)
  const written = async (text: string): Promise<void> => {
    while (readFileSync(path, 'utf8') !== text) await sleep(1)
    await sleep(20) // the write is told to be over
  }
  sink.line('at once\n')
  await written('at once\n')
  sink.line('one\n')
  sink.line('two\n')
  await written('at once\n')
  await clock.advance(10)
  await written('at once\none\ntwo\n')
  sink.line('three\n')
  await sink.drained()
  assert.equal(readFileSync(path, 'utf8'), 'at once\none\ntwo\nthree\n')
  closeSync(descriptor)
})

test('line sink: a closed descriptor neither throws nor holds up an exit', async () => {
  const sink = createFileSink(1_000_000, systemClock)
  sink.line('nobody reads this\n')
  await sink.drained()
})

test('line sink: a reader that stops loses lines only beyond the bound, and is told how many', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'line-sink-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  // Opened for both, so that opening does not wait for the other side.
  const descriptor = openSync(path, 'r+')
  const sink = createFileSink(descriptor, systemClock)
  const line = `${'x'.repeat(1024 * 1024 - 1)}\n`
  for (let count = 0; count < 100; count++) sink.line(line)
  const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => reader.kill())
  let received = 0
  let tail = ''
  reader.stdout.on('data', (chunk: Buffer) => {
    received += chunk.length
    tail = (tail + chunk.toString('latin1')).slice(-300)
  })
  await sink.drained()
  while (!tail.includes('lines were lost')) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(received < 66 * 1024 * 1024, `the backlog was bounded, ${received} bytes came`)
  assert.match(tail, / error 36 log lines were lost/)
  closeSync(descriptor)
})
