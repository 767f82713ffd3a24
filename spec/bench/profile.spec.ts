import assert from 'node:assert/strict'
import { Session } from 'node:inspector/promises'
import { test } from 'node:test'
import { renderSummary, summarise } from '../../bench/profile.ts'

function frame(id: number, functionName: string, url: string, lineNumber: number) {
  return { id, callFrame: { functionName, scriptId: '0', url, lineNumber, columnNumber: 0 } }
}

const file = 'file:///somewhere/dist/gateway.mjs'
const nodes = [
  frame(1, '(root)', '', -1),
  frame(2, '(idle)', '', -1),
  frame(3, '(program)', '', -1),
  frame(4, '(garbage collector)', '', -1),
  frame(5, 'scan', file, 99),
  frame(6, 'scan', file, 99),
  frame(7, 'scan', file, 199),
  frame(8, '', 'node:internal/streams', 4),
  frame(9, 'writev', '', -1),
]

function profile(samples: readonly (readonly [id: number, lastsMs: number])[]): string {
  const timeDeltas = [0, ...samples.map(([, ms]) => ms * 1000)]
  return JSON.stringify({ nodes, samples: [...samples.map(([id]) => id), 2], timeDeltas })
}

test('profile: self time is what passes until the next sample, one function over all its callers', () => {
  const summary = summarise(
    profile([
      [5, 10],
      [2, 500],
      [6, 30],
      [8, 20],
      [3, 7],
      [7, 1],
      [9, 2],
      [4, 30],
    ]),
    0,
  )
  assert.deepEqual(summary.functions, [
    { name: 'scan', place: 'gateway.mjs:100', milliseconds: 40 },
    { name: '(anonymous)', place: 'node:internal/streams:5', milliseconds: 20 },
    { name: 'writev', place: 'native', milliseconds: 2 },
    { name: 'scan', place: 'gateway.mjs:200', milliseconds: 1 },
  ])
  const { idleMs, programMs, collectorMs, busyMs } = summary
  assert.deepEqual([idleMs, programMs, collectorMs, busyMs], [500, 7, 30, 100])
})

test('profile: the table has the longest, and shares of the busy time that add up', () => {
  const text = profile([
    [5, 40],
    [8, 30],
    [2, 900],
    [9, 5],
    [3, 15],
    [4, 10],
  ])
  assert.deepEqual(renderSummary(summarise(text, 0), 2).split('\n'), [
    'Busy for 0.10 s, idle for 0.90 s.',
    '',
    '| self | function | where |',
    '|---|---|---|',
    '| 40.0 % | `scan` | gateway.mjs:100 |',
    '| 30.0 % | `(anonymous)` | node:internal/streams:5 |',
    '| 5.0 % | 1 other functions | |',
    "| 15.0 % | no JavaScript: system calls, node's C++ | |",
    '| 10.0 % | garbage collector | |',
  ])
})

test('profile: the start can be left out', () => {
  const text = profile([
    [5, 1_500],
    [7, 1_000],
    [8, 300],
  ])
  const { functions, busyMs } = summarise(text, 2)
  assert.deepEqual(
    functions.map(({ place }) => place),
    ['node:internal/streams:5'],
  )
  assert.equal(busyMs, 300)
  assert.equal(summarise(text, 100).busyMs, 0)
  assert.match(renderSummary(summarise(text, 100), 10), /\| – \| garbage collector/)
})

test('profile: what V8 writes about this process names the function that was busy', async () => {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  burn(300)
  const { profile: recorded } = await session.post('Profiler.stop')
  session.disconnect()
  const { functions, busyMs } = summarise(JSON.stringify(recorded), 0)
  assert.ok(busyMs >= 100, `${busyMs} ms`)
  const found = functions.slice(0, 3).find(({ name }) => name === 'burn')
  assert.match(found?.place ?? '', /^profile\.spec\.ts:\d+$/)
})

test('profile: anything else is refused', () => {
  for (const text of ['', 'null', '{}', '[]', '{"nodes":[],"samples":[]}']) {
    assert.throws(() => summarise(text, 0), /not a CPU profile/)
  }
})

function burn(ms: number): void {
  const end = performance.now() + ms
  let sum = 0
  while (performance.now() < end) for (let i = 0; i < 10_000; i++) sum += Math.sqrt(i)
  assert.ok(sum > 0)
}
