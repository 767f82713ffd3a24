/** Complaints into a report: order, places, paths, and secrets that must not get through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFindings, dotted, type Findings, isWithin } from '../../lib/config/findings.ts'

const create = (): Findings =>
  createFindings('f.yaml', (offset) => ({
    line: Math.floor(offset / 10) + 1,
    column: (offset % 10) + 1,
  }))

test('findings: problems come in the order of the file, each once', () => {
  const findings = create()
  const late = { path: ['b'], expected: 'x', found: 'y' }
  findings.error(25, late)
  findings.error(3, { path: ['a'], expected: 'x', found: 'y', nearest: ['z'] })
  findings.error(25, late)
  assert.deepEqual(findings.problems(), [
    { file: 'f.yaml', line: 1, column: 4, path: 'a', expected: 'x', found: 'y', nearest: ['z'] },
    { file: 'f.yaml', line: 3, column: 6, path: 'b', expected: 'x', found: 'y', nearest: [] },
  ])
})

test('findings: a key that stands twice is warned about with both lines', () => {
  const findings = create()
  findings.duplicate(0, 45, ['a'])
  assert.deepEqual(findings.warnings(), [
    {
      file: 'f.yaml',
      line: 5,
      column: 6,
      path: 'a',
      text: 'stands on line 1 and again on line 5; the last one counts',
    },
  ])
})

test('findings: what is to be hidden is hidden in every text, found before or after', () => {
  const findings = create()
  findings.error(0, { path: ['a'], expected: 'x', found: 'the text "hunter22"' })
  findings.hide('hunter22')
  findings.warn(0, ['b'], 'hunter22 is weak')
  assert.equal(findings.problems()[0]?.found, 'the text "(hidden)"')
  assert.equal(findings.warnings()[0]?.text, '(hidden) is weak')
})

test('findings: short values are not hidden everywhere, they are parts of ordinary words', () => {
  const findings = create()
  findings.hide('text')
  findings.error(0, { path: ['a'], expected: 'x', found: 'the text "b"' })
  assert.equal(findings.problems()[0]?.found, 'the text "b"')
})

test('findings: a complaint covers what is inside it', () => {
  const findings = create()
  findings.error(0, { path: ['a', 1], expected: 'x', found: 'y' })
  assert.ok(findings.covers(['a', 1]))
  assert.ok(findings.covers(['a', 1, 'b']))
  assert.ok(!findings.covers(['a']))
  assert.ok(!findings.covers(['a', 2]))
  assert.ok(findings.coversInside(['a']))
  assert.ok(!findings.coversInside(['b']))
})

test('findings: a complaint about the whole file covers no single key', () => {
  const findings = create()
  findings.error(0, { path: [], expected: 'x', found: 'y' })
  assert.ok(findings.covers([]))
  assert.ok(!findings.covers(['a']))
  assert.ok(!findings.coversInside([]))
})

test('findings: steps that would read as several are quoted', () => {
  assert.equal(dotted(['a', 0, 'b-c']), 'a.0.b-c')
  assert.equal(dotted(['telemetry', 'user.id', 'a b', '']), 'telemetry."user.id"."a b".""')
  assert.equal(dotted([]), '')
})

test('findings: a path lies within another by whole steps', () => {
  assert.ok(isWithin(['a', 'b'], ['a']))
  assert.ok(!isWithin(['ab'], ['a']))
  assert.ok(!isWithin(['a'], ['a', 'b']))
  assert.ok(!isWithin(['a', '0'], ['a', 0]))
})
