/** What the pages of docs promise: links that lead somewhere, keys and events that exist. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { configSchema } from '../../lib/config/sections.ts'
import { type Shape, shapeOf } from '../../lib/config/shape.ts'

const root = join(import.meta.dirname, '..', '..')
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
  'deploy/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .map((name) => join('docs', String(name)))
    .filter((name) => name.endsWith('.md')),
]
const read = (page: string): string => readFileSync(join(root, page), 'utf8')

/** As the usual renderers make it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-')
}

const anchors = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))

test('docs: every link leads to a file, and every anchor to a heading', () => {
  const wrong: string[] = []
  for (const page of pages) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const path = file === '' ? page : join(dirname(page), file)
      if (!existsSync(join(root, path))) wrong.push(`${page}: ${target}`)
      else if (anchor !== undefined && !anchors(path).includes(anchor)) {
        wrong.push(`${page}: ${target} has no such heading`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('docs: every page is on the map', () => {
  const map = read('docs/README.md')
  const lost = pages
    .filter((page) => /^docs\/[^/]+\.md$/.test(page) && page !== 'docs/README.md')
    .filter((page) => !map.includes(`(${page.slice('docs/'.length)})`))
  assert.deepEqual(lost, [])
})

/** Pages in prose; that of all keys is made from the schema, and code has dots too. */
const isGuide = (page: string): boolean =>
  /^docs\/(?!configuration|architecture)[^/]+\.md$/.test(page)

/** Dotted keys of the schema, without the places of lists. */
function keysOf(shape: Shape, prefix = ''): string[] {
  const inner = [...shape.keys].flatMap(([name, { shape: value }]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    return [path, ...keysOf(value, path)]
  })
  const items = shape.item === null || shape.item === undefined ? [] : keysOf(shape.item, prefix)
  const variants = [...(shape.variants?.values() ?? [])].flatMap((value) => keysOf(value, prefix))
  return [...inner, ...items, ...variants]
}

function eventsInCode(): string[] {
  const code = readdirSync(join(root, 'lib'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join('lib', name)))
  const bin = read('bin/gateway.ts')
  const written = [...code, bin].flatMap((text) => [
    ...[...text.matchAll(/\baudit\(\s*'([a-z_.]+)'/g)].map(([, name = '']) => name),
    ...[...text.matchAll(/\bnote\('(policy\.[a-z]+)'/g)].map(([, name = '']) => name),
  ])
  return [...new Set(written)].toSorted()
}

test('docs: every key of the configuration that a page names exists', () => {
  const keys = new Set(keysOf(shapeOf(configSchema)))
  const sections = [...keys].filter((key) => !key.includes('.'))
  const wrong: string[] = []
  for (const page of pages.filter(isGuide)) {
    for (const [, text = ''] of read(page).matchAll(/`([a-z_]+(?:\.[a-z_]+)+)`/g)) {
      const [section = ''] = text.split('.')
      if (sections.includes(section) && !keys.has(text)) wrong.push(`${page}: ${text}`)
    }
  }
  const events = new Set(eventsInCode())
  assert.deepEqual(
    wrong.filter((line) => !events.has(line.split(': ')[1] ?? '')),
    [],
  )
})

test('docs: the audit events of operations.md are those of the code', () => {
  const [, after = ''] = read('docs/operations.md').split('### Audit events')
  const [table = ''] = after.split('## Health')
  const described = [...table.matchAll(/^\| `([a-z_.]+)`/gm)]
    .map(([, name = '']) => name)
    .toSorted()
  assert.deepEqual(described, eventsInCode())
})

test('docs: every alert has its runbook', () => {
  const alerts = [...read('deploy/prometheus/alerts.yaml').matchAll(/- alert: (\w+)/g)]
  const headings = anchors('docs/runbooks.md')
  assert.ok(alerts.length >= 10)
  for (const [, name = ''] of alerts) assert.ok(headings.includes(name.toLowerCase()), name)
})
