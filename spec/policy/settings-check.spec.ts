/** Which managed-settings documents pass, and what is said of the others. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSettingsDocument } from '../../lib/policy/settings-check.ts'

interface Finding {
  readonly path: string
  readonly expected: string
  readonly nearest: readonly string[]
}
const check = (document: unknown, allowed: readonly string[] = []) => {
  const errors: Finding[] = []
  const warnings: string[] = []
  checkSettingsDocument(document, [], allowed, {
    error: (path, { expected, nearest = [] }) => {
      errors.push({ path: path.join('.'), expected, nearest })
    },
    warn: (path, text) => warnings.push(`${path.join('.')} ${text}`),
  })
  return { errors, warnings, paths: errors.map(({ path }) => path) }
}

// Recorded: documents with every known key set to a dozen kinds of value, and their insides.
const fixture = join(import.meta.dirname, '../fixtures/policy/settings-documents.json')
const recorded: { name: string; document: object; refused: string[] }[] = JSON.parse(
  readFileSync(fixture, 'utf8'),
)
/**
 * Keys that the public reference documents though a gateway of 2.1.330 refuses them, and what is
 * not said of an entry whose type is wrong already.
 */
const notSaidHere = new Set([
  'xaaIdp',
  'browserExternalPageTools',
  'disableBrowserExternalNavigation',
  'disableMobileSimulatorTools',
  'sshHostAllowlist',
  'pluginConfigs.b',
  'managedMcpServers.a.command',
  'managedMcpServers.j.url',
])
for (const { name, document, refused } of recorded) {
  test(`settings check: recorded document ${name} has problems at the recorded places`, () => {
    const { paths } = check(document)
    // A missing key is reported at its block here and at its own path in the record.
    const covers = (a: string, b: string): boolean =>
      a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`)
    assert.deepEqual(
      refused.filter((path) => !notSaidHere.has(path) && !paths.some((own) => covers(own, path))),
      [],
      'refused there, accepted here',
    )
    assert.deepEqual(
      paths.filter((path) => !refused.some((other) => covers(other, path))),
      [],
      'accepted there, refused here',
    )
  })
}

test('settings check: a rich document passes without a word', () => {
  const { base, role } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../fixtures/policy/merge-input.json'), 'utf8'),
  )
  for (const document of [base, role, {}]) {
    const { errors, warnings } = check(document)
    assert.deepEqual([...errors, ...warnings], [])
  }
})

test('settings check: all offending keys are reported together, unknown ones with a guess', () => {
  const { errors } = check({ zzz: 1, env: 5, availableModel: ['x'], availableModels: 'x' })
  assert.deepEqual(errors.map(({ path }) => path).toSorted(), [
    'availableModel',
    'availableModels',
    'env',
    'zzz',
  ])
  const guess = errors.find(({ path }) => path === 'availableModel')
  assert.deepEqual(guess?.nearest, ['availableModels'])
  assert.match(guess.expected, /extensions\.settings\.allow/)
})

test('settings check: mcpServers leads to managedMcpServers', () => {
  const [error] = check({ mcpServers: {} }).errors
  assert.deepEqual(error?.nearest, ['managedMcpServers'])
})

test('settings check: a key of the global configuration says where it belongs', () => {
  assert.match(check({ diffTool: 'x' }).errors[0]?.expected ?? '', /\.claude\.json/)
})

test('settings check: allowed keys are served with a warning, whatever they hold', () => {
  const { errors, warnings } = check({ brandNew: { a: [1] } }, ['brandNew'])
  assert.deepEqual(errors, [])
  assert.match(warnings.join(), /^brandNew .*extensions\.settings\.allow/)
})

test('settings check: keys that clients ignore from a gateway are accepted with a warning', () => {
  const document = { forceLoginGatewayUrl: 'https://x', wslInheritsWindowsSettings: true }
  const { errors, warnings } = check(document)
  assert.deepEqual(errors, [])
  assert.equal(warnings.length, 2)
})

test('settings check: values that clients drop only warn', () => {
  const { errors, warnings } = check({ editorMode: 'vin', theme: 5, subagentStatusLine: {} })
  assert.deepEqual(errors, [])
  assert.equal(warnings.length, 4)
  assert.match(warnings[0] ?? '', /did you mean vim/)
})

test('settings check: near misses inside known blocks warn, unknown keys there pass', () => {
  const document = { permissions: { denny: [], zzz: 1 }, sandbox: { netwrok: {}, foo: 1 } }
  const { errors, warnings } = check(document)
  assert.deepEqual(errors, [])
  assert.deepEqual(
    warnings.map((line) => line.split(' ')[0]),
    ['permissions.denny', 'sandbox.netwrok'],
  )
})

test('settings check: malformed permission rules are named by list and place', () => {
  const permissions = { deny: ['Bash', '((('], allow: ['*'], ask: ['Bash()', 5] }
  assert.deepEqual(check({ permissions }).paths.toSorted(), [
    'permissions.allow.0',
    'permissions.ask.0',
    'permissions.ask.1',
    'permissions.deny.1',
  ])
})

test('settings check: an unknown hook event is refused with a guess', () => {
  const { errors } = check({ hooks: { Stopp: [], Nope: [] } })
  assert.deepEqual(
    errors.map(({ path, nearest }) => [path, nearest]),
    [
      ['hooks.Stopp', ['Stop']],
      ['hooks.Nope', []],
    ],
  )
})

test('settings check: env and pluginConfigs take anything inside', () => {
  const env = { A: 1, B: null, C: { d: [] } }
  assert.deepEqual(check({ env, pluginConfigs: { a: { options: { x: [1] } } } }).errors, [])
})

test('settings check: prototype names are unknown keys', () => {
  const document: object = JSON.parse('{"__proto__":{"env":{}},"constructor":1,"toString":2}')
  assert.deepEqual(check(document).paths, ['__proto__', 'constructor', 'toString'])
})

test('settings check: something that is no document is one problem', () => {
  for (const document of [null, [], 'x', 5]) assert.equal(check(document).errors.length, 1)
})
