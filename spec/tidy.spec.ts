/**
 * The rules of this tree that no compiler knows, as tests over what git tracks: who may import
 * whom, which package is whose secret, how large a file may be, and what has a better way.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { errorTable } from '../lib/kernel/errors.ts'

const root = dirname(import.meta.dirname)
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const sources = tracked.filter((path) => /^(lib|bin|spec|bench)\/.*\.(ts|mjs)$/.test(path))
const library = sources.filter((path) => path.startsWith('lib/'))

/** Layer → what it may import besides itself. Features stand side by side and never meet. */
const shared = ['kernel', 'stream', 'http', 'egress', 'store', 'catalogue', 'page', 'schema']
const layers: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  schema: ['kernel'],
  stream: ['kernel'],
  http: ['kernel', 'stream', 'schema'],
  store: ['kernel', 'schema'],
  egress: ['kernel', 'stream', 'schema'],
  catalogue: ['kernel', 'schema'],
  page: ['kernel', 'http'],
  upstream: shared,
  identity: shared,
  policy: shared,
  spend: shared,
  audit: shared,
  telemetry: shared,
  metrics: shared,
  config: [...shared, 'upstream', 'identity', 'policy', 'spend', 'audit', 'telemetry'],
  // Tries what the others will use, so it knows them all; nothing but bin knows it.
  doctor: [...shared, 'upstream', 'identity', 'policy', 'spend', 'audit', 'telemetry', 'config'],
}

/** Package → the one place under lib that may know it. */
const vendors: Readonly<Record<string, RegExp>> = {
  jose: /^lib\/identity\//,
  pg: /^lib\/store\//,
  'pg-listen': /^lib\/store\//,
  undici: /^lib\/egress\//,
  protobufjs: /^lib\/telemetry\//,
  '@aws-sdk/credential-provider-node': /^lib\/upstream\//,
  '@azure/identity': /^lib\/upstream\//,
  'google-auth-library': /^lib\/upstream\//,
  yaml: /^lib\/config(\/|\.ts$)/,
  valibot: /^lib\/(schema\/|config(\/|\.ts$)|[a-z]+\/config\.ts$)/,
}

/** What has a better way, and where it may stand all the same. */
const banned: readonly { text: RegExp; instead: string; allowed?: RegExp }[] = [
  { text: /\bconsole\./, instead: 'kernel/log' },
  { text: /\bDate\.now\(|\bperformance\.now\(/, instead: 'kernel/clock', allowed: /kernel\/clock/ },
  { text: /(?<!\.)\bset(Timeout|Interval)\(/, instead: 'kernel/clock', allowed: /kernel\/clock/ },
  { text: /\bprocess\.(env|exit)\b/, instead: 'bin/gateway.ts' },
  { text: /\bMath\.random\(/, instead: 'node:crypto' },
]

const importPattern =
  /(?:^|\s)(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g
const imports = (path: string): string[] =>
  [...read(path).matchAll(importPattern)].map(([, from, lazily]) => from ?? lazily ?? '')
const layerOf = (path: string): string => /^lib\/([a-z]+)(?:\/|\.ts$)/.exec(path)?.[1] ?? ''

test('tidy: a layer imports only the layers below it, and features never meet', () => {
  const wrong: string[] = []
  for (const path of library) {
    const layer = layerOf(path)
    const allowed = layers[layer]
    // Files of lib itself put the features together and may import everything.
    if (allowed === undefined && dirname(path) === 'lib') continue
    assert.ok(allowed, `${path}: the layer ${layer} is not in the table`)
    for (const from of imports(path).filter((name) => name.startsWith('.'))) {
      const target = layerOf(normalize(join(dirname(path), from)))
      if (target !== layer && !allowed.includes(target)) wrong.push(`${path} imports ${from}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('tidy: each package is the secret of one folder, and every fence is in use', () => {
  const wrong: string[] = []
  const used = new Set<string>()
  for (const path of library) {
    for (const from of imports(path).filter((name) => !/^(\.|node:)/.test(name))) {
      const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0]
      const fence = vendors[name ?? '']
      used.add(name ?? '')
      if (fence === undefined || !fence.test(path)) wrong.push(`${path} imports ${from}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(
    Object.keys(vendors).filter((name) => !used.has(name)),
    [],
  )
})

test('tidy: no file of lib or bin is longer than one idea (400 lines) or exports more than 7 values', () => {
  const wrong: string[] = []
  for (const path of sources.filter((name) => /^(lib|bin)\//.test(name))) {
    const text = read(path)
    const lines = text.split('\n').length
    const exported = [...text.matchAll(/^export (?:async )?(?:function|const|let|class) /gm)].length
    // Tables of facts are as long as the facts.
    if (
      lines > 400 &&
      !/^lib\/(store\/migrations|catalogue\/models|policy\/settings-keys)/.test(path)
    ) {
      wrong.push(`${path} has ${lines} lines`)
    }
    if (exported > 7 && !path.endsWith('/config.ts') && !path.startsWith('lib/schema/')) {
      wrong.push(`${path} exports ${exported} values`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('tidy: what has a better way is not used', () => {
  const wrong: string[] = []
  for (const path of library) {
    const lines = read(path).split('\n')
    for (const { text, instead, allowed } of banned) {
      if (allowed?.test(path)) continue
      const at = lines.findIndex((line) => text.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line))
      if (at >= 0) wrong.push(`${path}:${at + 1}: use ${instead}`)
    }
  }
  assert.deepEqual(wrong, [])
})

/** Files whose behaviour only shows from further out: pattern → the specs that show it. */
const coveredElsewhere: readonly (readonly [RegExp, string])[] = [
  [/^lib\/(routes|gateway|generation|handlers|inference)\.ts$/, 'spec/journey/inference.spec.ts'],
  [/^lib\/metrics\/(families|listener|metrics)\.ts$/, 'spec/journey/metrics.spec.ts'],
  [/^lib\/(config-files|generations|reload)\.ts$/, 'spec/journey/reload.spec.ts'],
]

test('tidy: every file of lib with code says what it is for and has its spec', () => {
  const wrong: string[] = []
  const unused = new Set(coveredElsewhere)
  const specs = tracked.filter((path) => path.endsWith('.spec.ts'))
  const named = specs.flatMap((path) =>
    imports(path).map((from) => normalize(join(dirname(path), from))),
  )
  for (const path of library) {
    const text = read(path)
    if (!text.startsWith('/**')) wrong.push(`${path} does not open with its purpose`)
    const isDeclarative = !/\bfunction\b|=>/.test(text.replaceAll(/\/\*[^]*?\*\//g, ''))
    const own = path.replace(/^lib\//, 'spec/').replace(/\.ts$/, '.spec.ts')
    if (isDeclarative || named.includes(path) || specs.includes(own)) continue
    const elsewhere = coveredElsewhere.find(([pattern]) => pattern.test(path))
    if (elsewhere === undefined || !specs.includes(elsewhere[1])) wrong.push(`${path} has no spec`)
    else unused.delete(elsewhere)
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual([...unused], [], 'an exception that is not needed any more')
})

test('tidy: every refusal of the error table is named by a spec, by its code or its words', () => {
  const specs = tracked
    .filter((path) => path.endsWith('.spec.ts'))
    .map(read)
    .join('\n')
  const unnamed = Object.entries(errorTable).filter(([code, row]) => {
    const words = row.message === '' ? (row.type ?? '') : row.message
    return ![code, words].some((text) => specs.includes(text))
  })
  assert.deepEqual(
    unnamed.map(([code]) => code),
    [],
  )
})

test('tidy: nothing is left over', () => {
  const wrong: string[] = []
  for (const path of sources) {
    const text = read(path)
    if (/\b(FIXME|XXX|HACK)\b|TODO(?!\(#\d+\))/.test(text) && path !== 'spec/tidy.spec.ts') {
      wrong.push(`${path} has an open note`)
    }
    if (/\b(utils|helpers|common|misc|types|index)\.ts$/.test(path)) {
      wrong.push(`${path} is named for no thing`)
    }
  }
  assert.match(read('CHANGELOG.md'), /^## \[?Unreleased/m)
  assert.deepEqual(wrong, [])
})
