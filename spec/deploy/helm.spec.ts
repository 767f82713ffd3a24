import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { at, parseManifests } from '../support/manifests.ts'

// Helm is not to be had here: this is what can be told without rendering.
const chart = join(import.meta.dirname, '..', '..', 'deploy', 'helm', 'apps-gateway')
const templates = readdirSync(join(chart, 'templates')).map((name) => ({
  name,
  text: readFileSync(join(chart, 'templates', name), 'utf8'),
}))
const [values] = parseManifests(readFileSync(join(chart, 'values.yaml'), 'utf8'))

test('deploy helm: the chart says what Helm asks of a chart', () => {
  const [description] = parseManifests(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
  assert.equal(at(description, 'apiVersion'), 'v2')
  assert.match(String(at(description, 'version')), /^\d+\.\d+\.\d+$/)
  assert.match(readFileSync(join(chart, 'README.md'), 'utf8'), /\*\*Untested:\*\*/)
})

test('deploy helm: every value that a template reads is in values.yaml, and every one there is read', () => {
  const read = new Set<string>()
  for (const { name, text } of templates) {
    for (const [, path = ''] of text.matchAll(/\.Values\.([A-Za-z.]+)/g)) {
      assert.notEqual(at(values, ...path.split('.')), undefined, `${name}: ${path}`)
      read.add(path.split('.')[0] ?? '')
    }
  }
  assert.deepEqual(Object.keys(values ?? {}).toSorted(), [...read].toSorted())
})

test('deploy helm: every block is closed, and every include has its definition', () => {
  const all = templates.map(({ text }) => text).join('\n')
  for (const { name, text } of templates) {
    const opened = [...text.matchAll(/\{\{-? (?:if|with|range|define) /g)].length
    const closed = [...text.matchAll(/\{\{-? end -?\}\}/g)].length
    assert.equal(opened, closed, name)
    assert.equal(text.split('{{').length, text.split('}}').length, name)
  }
  for (const [, name = ''] of all.matchAll(/include "([^"]+)"/g)) {
    assert.ok(all.includes(`define "${name}"`), name)
  }
})

test('deploy helm: the chart says of its pods what the manifests say', () => {
  const text = (name: string): string => templates.find((each) => each.name === name)?.text ?? ''
  const manifest = readFileSync(
    join(chart, '..', '..', 'kubernetes', 'base', 'deployment.yaml'),
    'utf8',
  )
  /** The lines of a block, comments and indentation aside. */
  const block = (source: string, key: string): string[] => {
    const lines = source.split('\n').filter((line) => !/^\s*#/.test(line))
    const start = lines.findIndex((line) => line.trim() === `${key}:`)
    assert.ok(start >= 0, key)
    const depth = (line: string): number => line.length - line.trimStart().length
    const rest = lines.slice(start + 1)
    const end = rest.findIndex((line) => depth(line) <= depth(lines[start] ?? ''))
    return rest.slice(0, end < 0 ? undefined : end).map((line) => line.trim())
  }
  for (const key of [
    'securityContext',
    'startupProbe',
    'readinessProbe',
    'livenessProbe',
    'lifecycle',
  ]) {
    assert.deepEqual(block(text('deployment.yaml'), key), block(manifest, key), key)
  }
})
