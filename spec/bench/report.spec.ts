import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, renderMedians, renderTable, toFigure } from '../../bench/report.ts'
import type { Round } from '../../bench/rounds.ts'
import { scenarios } from '../../bench/scenarios.ts'

const [burst] = scenarios
assert.ok(burst !== undefined)

function round(changes: Partial<Round> = {}): Round {
  return {
    cpuSeconds: 1,
    firstByteMs: 1,
    firstByteP99Ms: 2,
    gapMs: Number.NaN,
    streamsPerSecond: 100,
    residentPeakBytes: 50e6,
    bytesPerStream: Number.NaN,
    ...changes,
  }
}

test('report: a ratio is taken within a round, so that a slow minute cancels out', () => {
  const floor = [1, 4, 2].map((cpuSeconds) => round({ cpuSeconds }))
  const subject = [0.9, 3.6, 1.8].map((cpuSeconds) => round({ cpuSeconds }))
  const result = compare(burst, 'gateway', subject, floor)
  const cpu = result.figures.find(({ name }) => name === 'CPU ratio')
  assert.deepEqual([cpu?.estimate.low, cpu?.estimate.median, cpu?.estimate.high], [0.9, 0.9, 0.9])
  assert.equal(cpu?.goal, 1.1)
  assert.equal(cpu?.verdict, 'reached')
})

test('report: what was not measured in every round is left out, not shown as reached', () => {
  const result = compare(
    burst,
    'against',
    [round({ cpuSeconds: Number.NaN }), round({ firstByteMs: 1.5 })],
    [round(), round()],
  )
  assert.deepEqual(
    result.figures.map(({ name }) => name),
    ['added first byte, ms'],
  )
})

test('report: every figure with a goal has a row with its verdict', () => {
  const result = compare(burst, 'gateway', [round({ cpuSeconds: 3 })], [round()])
  const table = renderTable([result], [toFigure('idle RSS, MB', [90], { goal: 110 })])
  assert.match(
    table,
    /burst-20.*CPU ratio \| 3\.00 \| 3\.00 – 3\.00 \| ≤ 1\.1 \| missed \| ≤ 1 \| missed/,
  )
  assert.match(table, /boot \| gateway \| idle RSS, MB \| 90\.00 .* ≤ 110 \| reached \|  \|  \|/)
})

test('report: a goal and a stricter target each have their verdict', () => {
  const { goal, verdict, target, targetVerdict } = toFigure('x', [1.05], { goal: 1.1, target: 1 })
  assert.deepEqual([goal, verdict, target, targetVerdict], [1.1, 'reached', 1, 'missed'])
})

test('report: a goal for gaps is judged by their 99th percentiles', () => {
  const interference = scenarios.find(({ name }) => name === 'interference')
  assert.ok(interference !== undefined)
  const { figures } = compare(
    interference,
    'gateway',
    [round({ gapMs: 25 })],
    [round({ gapMs: 10 })],
  )
  const gap = figures.find(({ name }) => name === 'gap p99 ratio')
  assert.deepEqual([gap?.estimate.median, gap?.goal, gap?.verdict], [2.5, 2, 'missed'])
})

test('report: the floor stands once above all that ran with it', () => {
  const floor = [round()]
  const results = ['gateway', 'against'].map((name) => compare(burst, name, [round()], floor))
  const rows = renderMedians(results).split('\n').slice(2)
  assert.deepEqual(
    rows.map((row) => row.split(' | ')[1]),
    ['floor', 'gateway', 'against'],
  )
})
