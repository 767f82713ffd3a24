import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions, usage } from '../../bench/options.ts'
import { scenarios } from '../../bench/scenarios.ts'

test('bench options: without any, everything runs in nine rounds against the bundle', () => {
  const options = parseOptions([])
  assert.deepEqual(options.scenarios, [...scenarios.map(({ name }) => name), 'boot'])
  assert.equal(options.rounds, 9)
  assert.equal(options.subject, 'bundle')
  assert.equal(options.against, undefined)
  assert.equal(options.upstreamPort, 0)
})

test('bench options: quick means fewer rounds unless they are given', () => {
  assert.equal(parseOptions(['--quick']).rounds, 3)
  assert.equal(parseOptions(['--quick', '--rounds', '11']).rounds, 11)
})

test('bench options: another gateway needs its token and may name its process', () => {
  const options = parseOptions(['--against', 'http://127.0.0.1:9/', '--token', 't', '--pid', '7'])
  assert.deepEqual(options.against, { url: 'http://127.0.0.1:9', token: 't', pid: 7 })
  assert.throws(() => parseOptions(['--against', 'http://127.0.0.1:9']), /come together/)
  assert.throws(() => parseOptions(['--token', 't']), /come together/)
})

test('bench options: a wrong name or number is refused with what is allowed', () => {
  assert.throws(() => parseOptions(['--scenario', 'brust']), /no scenario "brust".*burst-20.*boot/)
  for (const wrong of ['0', '-1', '1.5', 'nine', '']) {
    assert.throws(() => parseOptions(['--rounds', wrong]), /whole number|argument/)
  }
  assert.throws(() => parseOptions(['--speed']), /--speed/)
  assert.throws(() => parseOptions(['stray']), /stray/)
})

test('bench options: the usage names every scenario', () => {
  for (const { name } of scenarios) assert.ok(usage.includes(name))
})
