/** Keys without a feature: which stop the gateway from serving, and which are only named. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  findUnsupported,
  unsupportedRows,
  type UnsupportedRow,
} from '../../lib/config/unsupported.ts'
import { loadWith, pem } from './load.ts'

const rows: readonly UnsupportedRow[] = [
  {
    feature: 'Caps',
    keys: ({ admin }) => (admin === undefined ? [] : ['admin']),
    restricts: 'without it nothing would be capped',
  },
  {
    feature: 'Providers',
    keys: ({ upstreams }) => upstreams.map(({ name }) => `upstreams.${name}`),
  },
]

test('unsupported: a restricting key stops serving, another one is named', () => {
  assert.deepEqual(findUnsupported(loadWith({ admin: {} }).config(), rows), {
    refusals: ['admin: not supported by this version yet, and without it nothing would be capped'],
    ineffective: ['upstreams.anthropic'],
  })
  assert.deepEqual(findUnsupported(loadWith({}).config(), rows).refusals, [])
})

test('unsupported: defaults are not keys somebody set', () => {
  assert.deepEqual(findUnsupported(loadWith({}).config()), { refusals: [], ineffective: [] })
})

test('unsupported: what is built can be used without a word', () => {
  const config = loadWith({
    'listen.trusted_proxies': ['10.0.0.1'],
    access_control: { deny_cidrs: ['10.0.0.0/8'] },
    limits: { max_url_length: 100 },
    'oidc.allowed_groups': ['a'],
    'oidc.user_id_claim': 'oid',
    'upstreams.0.groups': ['a'],
    'upstreams.0.models': ['claude-*'],
    'upstreams.0.headers': { 'X-A': 'b' },
    models: [{ id: 'm', upstream_model: { anthropic: 'x' } }],
    rate_limits: { device_verify: { max: 1 } },
    login_notice: 'hello',
    load_test_mode: { enabled: true },
    telemetry: { forward_to: [{ url: 'https://otel.example.com' }] },
    managed: { policies: [{ cli: {} }] },
    pricing: { multiplier: 0.9 },
    extensions: {
      upstream_health: {},
      telemetry: { verify_identity: true, queue_bytes: 1_048_576 },
      prices: [{ model: 'm', input: 1, output: 5, cache_read: 0.1, cache_write: 1.25 }],
    },
    cri: {
      enabled: true,
      audience: ['a'],
      org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
      policy: { webhook: { url: 'https://policy.example.com' } },
    },
  }).config()
  assert.deepEqual(findUnsupported(config), { refusals: [], ineffective: [] })
})

test('unsupported: groups of Google Workspace are read', () => {
  const key = JSON.stringify({ private_key: pem('rsa.key.pem'), client_email: 'x@y' })
  const google = { service_account_json_path: '/k', admin_email: 'a@example.com' }
  const config = loadWith({ 'oidc.google_groups': google }, { files: { '/k': key } }).config()
  assert.deepEqual(findUnsupported(config), { refusals: [], ineffective: [] })
})

test('unsupported: identity federation and the providers on Google Cloud and Azure are served', () => {
  const auth = { federation_rule_id: 'f', organization_id: 'o', identity_token_file: '/t' }
  const upstreams = [
    { provider: 'anthropic', auth },
    { provider: 'vertex', region: 'global', project_id: 'p', auth: {} },
    { provider: 'foundry', resource: 'res', auth: { use_azure_ad: true } },
    { provider: 'anthropicGoogleCloud', project_id: 'p', workspace_id: 'w', auth: {} },
  ]
  const config = loadWith({ upstreams }).config()
  assert.deepEqual(findUnsupported(config), { refusals: [], ineffective: [] })
})

test('unsupported: the providers behind AWS are served, with guardrails and roles', () => {
  const guardrail = { id: 'g', version: '1' }
  const assume_role = { role_arn: 'arn:aws:iam::1:role/r', session_name: 'email' }
  const upstreams = [
    { provider: 'bedrock', region: 'us-east-1', auth: {}, guardrail, assume_role },
    { provider: 'anthropicAws', region: 'us-east-1', workspace_id: 'w', auth: { api_key: 'k' } },
  ]
  const mantle = { provider: 'mantle', region: 'us-east-1', models: ['claude-*'], auth: {} }
  for (const list of [upstreams, [mantle]]) {
    const config = loadWith({ upstreams: list }).config()
    assert.deepEqual(findUnsupported(config), { refusals: [], ineffective: [] })
  }
})

test('unsupported: every row has words for the documentation', () => {
  for (const { feature, restricts } of unsupportedRows) {
    assert.notEqual(feature, '')
    if (restricts !== undefined) assert.match(restricts, /^without it .*[^.]$/)
  }
})
