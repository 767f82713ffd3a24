/** What checks say, with place, value and secrecy added. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFindings, type Findings } from '../../lib/config/findings.ts'
import { readYaml } from '../../lib/config/read-yaml.ts'
import { createReport } from '../../lib/config/report.ts'
import { shapeOf } from '../../lib/config/shape.ts'
import type { ConfigReport, KeyPath } from '../../lib/kernel/report.ts'
import { openBlock } from '../../lib/schema/collection.ts'
import { block, required } from '../../lib/schema/field.ts'
import { secret, text } from '../../lib/schema/value.ts'

const shape = shapeOf(
  block<{ name: string; key: string; open: object }>({
    name: required(text(), 'Name.'),
    key: required(secret(), 'Key.'),
    open: required(openBlock, 'Open.'),
  }),
)

const yaml = `name: x
key: s3cret
open:
  env: { TOKEN: t0ken, PLAIN: plain, REF: "\${X}" }
`

function start(earlier?: KeyPath): {
  report: ConfigReport
  said: () => readonly string[]
  findings: Findings
} {
  let findings: Findings | undefined
  const sources = { environment: { X: 'from outside' }, readFile: () => Buffer.from('') }
  const { root } = readYaml(yaml, sources, (position) => {
    findings = createFindings('f', position)
    return findings
  })
  assert.ok(root && findings)
  const kept = findings
  if (earlier) kept.error(0, { path: earlier, expected: 'x', found: 'earlier' })
  return {
    findings: kept,
    report: createReport(root, shape, kept),
    said: () =>
      kept.problems().map(({ line, column, path, found }) => `${line}:${column} ${path}: ${found}`),
  }
}

test('report: a check names a path, the report adds place and value', () => {
  const { report, said } = start()
  report.error(['name'], { expected: 'y' })
  report.error(['open', 'env', 'PLAIN'], { expected: 'y' })
  report.error(['missing'], { expected: 'y' })
  assert.deepEqual(said(), [
    '1:1 missing: nothing',
    '1:7 name: the text "x"',
    '4:31 open.env.PLAIN: the text "plain"',
  ])
})

test("report: a check's own words about what was found are kept", () => {
  const { report, said, findings } = start()
  report.error(['name'], { expected: 'y', found: 'two of them', nearest: ['z'] })
  assert.deepEqual(said(), ['1:7 name: two of them'])
  assert.deepEqual(findings.problems()[0]?.nearest, ['z'])
})

test('report: they are not kept about a secret, by schema, by name or by origin', () => {
  const { report, said } = start()
  report.error(['key'], { expected: 'y', found: 's3cret' })
  report.error(['open', 'env', 'TOKEN'], { expected: 'y', found: 't0ken' })
  report.error(['open', 'env', 'REF'], { expected: 'y', found: 'from outside' })
  assert.deepEqual(said(), [
    '2:6 key: text of 6 characters (hidden)',
    '4:17 open.env.TOKEN: text of 5 characters (hidden)',
    '4:43 open.env.REF: the value of ${X} (hidden)',
  ])
})

test('report: words about a key point at the key, whatever its value is', () => {
  const { report, said } = start()
  for (const name of ['PLAIN', 'TOKEN', 'REF']) {
    report.error(['open', 'env', name], { expected: 'y', found: `unknown key "${name}"` })
  }
  assert.deepEqual(said(), [
    '4:10 open.env.TOKEN: unknown key "TOKEN"',
    '4:24 open.env.PLAIN: unknown key "PLAIN"',
    '4:38 open.env.REF: unknown key "REF"',
  ])
})

test('report: what an earlier stage complained about is not complained about again', () => {
  const { report, said } = start(['open', 'env'])
  report.error(['open', 'env'], { expected: 'y' })
  report.error(['open', 'env', 'PLAIN'], { expected: 'y' })
  assert.deepEqual(said(), ['1:1 open.env: earlier'])
  report.error(['open'], { expected: 'y' })
  assert.deepEqual(said(), ['1:1 open.env: earlier', '3:1 open: a block with env'])
})

test('report: two rules may complain about one value', () => {
  const { report, said } = start()
  report.error(['name'], { expected: 'a' })
  report.error(['name'], { expected: 'b' })
  assert.equal(said().length, 2)
})

test('report: a warning has a place too', () => {
  const { report, findings } = start()
  report.warn(['open', 'env'], 'is odd')
  assert.deepEqual(findings.warnings(), [
    { file: 'f', line: 4, column: 3, path: 'open.env', text: 'is odd' },
  ])
})
