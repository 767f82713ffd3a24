import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRegistry } from '../../lib/metrics/registry.ts'
import { readExposition } from '../support/exposition.ts'

test('registry: counters, gauges and histograms have the text form of Prometheus', () => {
  const registry = createRegistry()
  const counter = registry.counter('a_total', 'Things.\nMany \\ of them.', ['kind', 'path'])
  counter.with('x', 'a"b\\c\nd').add()
  counter.with('x', 'a"b\\c\nd').add(2)
  registry.gauge('b', 'Now.', () => [{ value: 1.5 }, { labels: { of: 'z' }, value: Number.NaN }])
  const histogram = registry.histogram('c_seconds', 'Times.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.with().observe(value)
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
  const counter = registry.counter('a_total', 'Things.', ['of'])
  for (let index = 0; index < 5000; index++) counter.with(`x${index}`).add()
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

test('registry: a child is the same one each time, so that it can be held', () => {
  const counter = createRegistry().counter('a_total', 'Things.', ['of', 'in'])
  assert.equal(counter.with('x', 'y'), counter.with('x', 'y'))
  assert.notEqual(counter.with('x', 'y'), counter.with('x', 'z'))
  assert.notEqual(counter.with('xy', ''), counter.with('x', 'y'))
})

test('registry: a strict reader of the format takes whatever the labels hold', () => {
  const registry = createRegistry()
  const values = ['', ' ', '"', '\\', '\n', '\\n', '{}', 'a="b",', '#', 'größe', '\u2028', '\0']
  const counter = registry.counter('a_total', '{ # " \\n \n }', ['of'])
  const histogram = registry.histogram('b_seconds', 'Times.', [1e-7, 0.1, 1e21], ['of'])
  for (const value of values) {
    counter.with(value).add(0.1 + 0.2)
    for (const time of [0, 1e-9, 5, 1e22]) histogram.with(value).observe(time)
  }
  registry.gauge('c', 'Odd ones.', () =>
    [Number.NaN, Infinity, -Infinity, -0, 1e-7, 2 ** 60].map((value, index) => ({
      labels: { at: String(index) },
      value,
    })),
  )
  const { families, samples, help } = readExposition(registry.text())
  assert.deepEqual([...families.values()], ['counter', 'histogram', 'gauge'])
  assert.equal(help.get('a_total'), '{ # " \\\\n \\n }')
  assert.equal(samples.size, values.length * (1 + 4 + 2) + 6)
})

test('registry: the strict reader refuses what Prometheus would', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c"} 1\n'
  assert.equal(readExposition(good).samples.size, 1)
  const bad = [
    good.slice(0, -1),
    good.replace('1\n', '1,5\n'),
    good.replace('b="c"', 'b="c'),
    good.replace('b="c"', 'b="\\x"'),
    good.replace('b="c"', 'b="c",b="d"'),
    good.replace('b="c"', '1b="c"'),
    good.replace('1\n', '-1\n'),
    good.replace('{b="c"} 1', '{b="c"} 1\na_total{b="c"} 1'),
    good.replace('{b="c"} 1', '{b="c"} 1\na_total{d="c"} 1'),
    good.replaceAll('a_total', 'a-total'),
    good.replaceAll('a_total', 'a'),
    good.replace(' counter', ' number'),
    `${good}${good}`,
    '# HELP b x\n# TYPE b histogram\nb_bucket{le="1"} 1\nb_sum 1\nb_count 1\n',
    '# HELP b x\n# TYPE b histogram\nb_bucket{le="1"} 2\nb_bucket{le="+Inf"} 1\nb_sum 1\nb_count 1\n',
  ]
  for (const text of bad) assert.throws(() => readExposition(text), Error, text)
})
