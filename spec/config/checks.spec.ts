/** Every folder's checks are asked, on sound and on broken files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks, runWarnings } from '../../lib/config/checks.ts'
import { loadWith } from './load.ts'

/** One broken rule between keys for every folder. */
const brokenRules: Readonly<Record<string, unknown>> = {
  'listen.host': '0.0.0.0',
  'listen.public_url': undefined,
  'oidc.client_secret': undefined,
  'store.postgres_url': 'postgres://a,b/d',
  upstreams: [
    { provider: 'anthropic', auth: { api_key: 'k' } },
    { provider: 'anthropic', auth: { api_key: 'k' } },
  ],
  models: [{ id: 'm', upstream_model: { zzz: 'x' } }],
  'enforcement.fail_closed_on_error': true,
  managed: {
    policies: [{ code: {}, cli: {} }, { cli: { zzz: 1 } }, { desktop: { bootstrapUrl: 'x' } }],
  },
  cri: { issuer: 'nope' },
  telemetry: { resource_attributes: { 'user.id': 'x' } },
  extensions: { upstreams: { yyy: {} }, models: [{ id: 'm', forms: { zzz: 'x' } }] },
}

const brokenPaths = [
  'cri.issuer',
  'enforcement.fail_closed_on_error',
  'extensions.models.0.forms.zzz',
  'extensions.upstreams.yyy',
  'listen.public_url',
  'managed.policies.0.cli',
  'managed.policies.1.cli',
  'managed.policies.1.cli.zzz',
  'managed.policies.2.desktop.bootstrapUrl',
  'models.0.upstream_model.zzz',
  'oidc.client_secret',
  'store.postgres_url',
  'telemetry.resource_attributes."user.id"',
  'upstreams.1.name',
]

function pathsOf(changes: Readonly<Record<string, unknown>>): readonly string[] {
  const { loaded } = loadWith(changes)
  assert.ok(loaded.kind === 'invalid')
  return loaded.problems.map(({ path }) => path).toSorted((a, b) => a.localeCompare(b))
}

test('checks: rules of every folder are in one report', () => {
  assert.deepEqual(pathsOf(brokenRules), brokenPaths)
})

test('checks: a mistake of form anywhere does not silence the rules', () => {
  const formMistakes = {
    'session.jwt_secret': 'short',
    'listen.prot': 1,
    'limits.max_url_length': 0,
  }
  const found = pathsOf({ ...brokenRules, ...formMistakes })
  const both = [...brokenPaths, ...Object.keys(formMistakes)]
  assert.deepEqual(
    found,
    both.toSorted((a, b) => a.localeCompare(b)),
  )
})

test('checks: nothing at all gives nothing to say', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => false,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  runChecks({}, facts, report)
})

test('checks: warnings about how parts work together come only once the file is right', () => {
  const idle = {
    'upstreams.0.models': ['zzz'],
    managed: { policies: [{ cli: { availableModels: [] } }] },
  }
  const { warnings, config } = loadWith(idle)
  assert.ok(warnings.some((line) => line.startsWith('upstreams.0.models.0: routes nothing')))
  assert.ok(warnings.some((line) => line.startsWith('managed.policies.0.cli.availableModels')))
  assert.deepEqual(loadWith({ ...idle, zzz: 1 }).warnings, [])
  const said: string[] = []
  runWarnings(config(), {
    error: () => assert.fail(),
    warn: (path) => void said.push(path.join('.')),
  })
  assert.ok(said.includes('upstreams.0.models.0'))
})
