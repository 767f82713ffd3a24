import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRegistry } from '../../lib/metrics/registry.ts'

test('registry: counters, gauges and histograms have the text form of Prometheus', () => {
  const registry = createRegistry()
  const counter = registry.counter('a_total', 'Things.\nMany \\ of them.')
  counter.with({ kind: 'x', path: 'a"b\\c\nd' }).add()
  counter.with({ kind: 'x', path: 'a"b\\c\nd' }).add(2)
  registry.gauge('b', 'Now.', () => [{ value: 1.5 }, { labels: { of: 'z' }, value: Number.NaN }])
  const histogram = registry.histogram('c_seconds', 'Times.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.with({}).observe(value)
  assert.equal(
    registry.text(),
    [
      '# HELP a_total Things.\\nMany \\\\ of them.',
      '# TYPE a_total counter',
      'a_total{kind="x",path="a\\"b\\\\c\\nd"} 3',
      '# HELP b Now.',
      '# TYPE b gauge',
      'b 1.5',
      'b{of="z"} NaN',
      '# HELP c_seconds Times.',
      '# TYPE c_seconds histogram',
      'c_seconds_bucket{le="0.1"} 2',
      'c_seconds_bucket{le="1"} 3',
      'c_seconds_bucket{le="+Inf"} 4',
      'c_seconds_sum 7.65',
      'c_seconds_count 4',
      '',
    ].join('\n'),
  )
})

test('registry: a family does not grow without bound', () => {
  const registry = createRegistry()
  const counter = registry.counter('a_total', 'Things.')
  for (let index = 0; index < 5000; index++) counter.with({ of: `x${index}` }).add()
  const lines = registry
    .text()
    .split('\n')
    .filter((line) => line.startsWith('a_total{'))
  assert.equal(lines.length, 1001)
  assert.equal(lines.at(-1), 'a_total{of="other"} 4000')
})

test('registry: a name is taken once', () => {
  const registry = createRegistry()
  registry.counter('a_total', 'Things.')
  assert.throws(() => registry.histogram('a_total', 'Others.', []), /two a_total/)
})
