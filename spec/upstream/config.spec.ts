/** `upstreams` and `load_test_mode`: seven kinds of block, their keys and credentials. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ProviderName, type UpstreamConfig, routingKeys } from '../../lib/upstream/config.ts'
import { type Credentials, credentials } from '../../lib/upstream/credentials-config.ts'
import { loadWith } from '../config/load.ts'

const complete: Readonly<Record<ProviderName, object>> = {
  anthropic: { auth: { api_key: 'k' } },
  bedrock: { region: 'us-east-1', auth: {} },
  mantle: { region: 'us-east-1', auth: {}, models: ['claude-opus-4-8'] },
  anthropicAws: { region: 'us-east-1', workspace_id: 'w', auth: {} },
  anthropicGoogleCloud: {
    project_id: 'p',
    workspace_id: 'w',
    auth: {},
    base_url: 'https://claude.example.com',
  },
  vertex: { region: 'us-east5', project_id: 'p', auth: {} },
  foundry: { resource: 'res-1', auth: { use_azure_ad: true } },
}

const load = (...upstreams: readonly object[]) => loadWith({ upstreams })
const loadAuth = (provider: ProviderName, auth: unknown) =>
  load({ provider, ...complete[provider], auth })

test('upstream config: every provider passes with the keys it needs', () => {
  for (const [provider, keys] of Object.entries(complete)) {
    const [upstream] = load({ provider, ...keys }).config().upstreams
    assert.equal(upstream?.provider, provider)
    assert.equal(upstream.name, provider)
    assert.deepEqual(upstream.headers, {})
  }
  assert.deepEqual(Object.keys(routingKeys), ['upstreams', 'load_test_mode'])
})

test('upstream config: each needed key is missed by name', () => {
  for (const [provider, keys] of Object.entries(complete)) {
    for (const name of Object.keys(keys).filter((key) => key !== 'base_url')) {
      const { problems } = load({ provider, ...keys, [name]: undefined })
      assert.equal(problems.length, 1, `${provider} ${name}`)
      assert.match(
        problems[0] ?? '',
        new RegExp(`^upstreams\\.0\\.${name}: expected .*, found nothing`),
      )
    }
  }
})

test('upstream config: keys of another provider are unknown', () => {
  assert.match(
    load({
      provider: 'mantle',
      ...complete.mantle,
      guardrail: { id: 'g', version: '1' },
    }).problems.join(),
    /^upstreams\.0\.guardrail: expected a key of upstreams\.0 .*unknown key "guardrail"/,
  )
  assert.match(
    load({ provider: 'vertex', ...complete.vertex, forward_user_identity: true }).problems.join(),
    /unknown key "forward_user_identity"/,
  )
})

test('upstream config: a name may be anything but nothing', () => {
  const named = load(
    { provider: 'anthropic', ...complete.anthropic, name: '' },
    { provider: 'anthropic', ...complete.anthropic, name: 'a b/ü' },
  ).config()
  assert.deepEqual(
    named.upstreams.map(({ name }) => name),
    ['', 'a b/ü'],
  )
})

test('upstream config: an Anthropic credential is exactly one of three', () => {
  const federation = {
    federation_rule_id: 'r',
    organization_id: 'o',
    identity_token_file: '/t',
  }
  for (const auth of [{ api_key: 'k' }, { oauth_token: 't' }, federation]) {
    assert.deepEqual(loadAuth('anthropic', auth).problems, [])
  }
  for (const auth of [
    {},
    { api_key: 'k', oauth_token: 't' },
    { federation_rule_id: 'r' },
    { ...federation, api_key: 'k' },
  ]) {
    const { problems } = loadAuth('anthropic', auth)
    assert.equal(problems.length, 1)
    assert.match(
      problems[0] ?? '',
      /^upstreams\.0\.auth: expected exactly one of: api_key; oauth_token;/,
    )
  }
  assert.match(
    loadAuth('anthropic', { api_key: '' }).problems.join(),
    /auth\.api_key: .*found empty text/,
  )
  assert.match(loadAuth('anthropic', { api_kye: 'k' }).problems.join(), /did you mean api_key\?$/)
  assert.match(
    loadAuth('anthropic', 'k').problems.join(),
    /^upstreams\.0\.auth: expected exactly one/,
  )
})

test('upstream config: AWS keys come in pairs', () => {
  const pair = { aws_access_key_id: 'a', aws_secret_access_key: 'b' }
  for (const provider of ['bedrock', 'mantle', 'anthropicAws'] as const) {
    for (const auth of [{}, pair, { ...pair, aws_session_token: 'c' }]) {
      assert.deepEqual(loadAuth(provider, auth).problems, [])
    }
    for (const half of [{ aws_access_key_id: 'a' }, { aws_secret_access_key: 'b' }]) {
      assert.match(loadAuth(provider, half).problems.join(), /together, or neither/)
    }
    assert.match(
      loadAuth(provider, { aws_session_token: 'c' }).problems.join(),
      /aws_session_token only beside/,
    )
  }
  assert.deepEqual(loadAuth('bedrock', { aws_bearer_token: 't' }).problems, [])
  assert.deepEqual(loadAuth('anthropicAws', { api_key: 'k', ...pair }).problems, [])
  assert.match(loadAuth('anthropicAws', { aws_bearer_token: 't' }).problems.join(), /unknown key/)
})

test('upstream config: Google and Azure credentials', () => {
  assert.deepEqual(loadAuth('anthropicGoogleCloud', { access_token: 't' }).problems, [])
  assert.match(
    loadAuth('vertex', { access_token: 't' }).problems.join(),
    /unknown key "access_token"/,
  )
  assert.deepEqual(loadAuth('foundry', { api_key: 'k' }).problems, [])
  for (const auth of [{}, { api_key: 'k', use_azure_ad: true }, { use_azure_ad: false }]) {
    assert.match(loadAuth('foundry', auth).problems.join(), /use_azure_ad/, JSON.stringify(auth))
  }
})

test('upstream config: every way to sign in has a row', () => {
  const ways: readonly (keyof Credentials)[] = [
    'anthropic',
    'aws',
    'platform',
    'google',
    'vertex',
    'azure',
  ]
  assert.deepEqual(Object.keys(credentials), ways)
})

test('upstream config: forms of regions, resources, roles and guardrails', () => {
  const bad: readonly (readonly [ProviderName, object, RegExp])[] = [
    ['vertex', { region: 'US EAST' }, /region: expected a region: lowercase/],
    ['anthropicAws', { region: 'US_East' }, /region: expected a region: lowercase/],
    ['foundry', { resource: 'r' }, /resource: expected 2 to 64 letters/],
    ['foundry', { resource: '-ab' }, /resource/],
    ['foundry', { resource: 'a'.repeat(65) }, /resource/],
    ['bedrock', { guardrail: { id: 'g', version: 1 } }, /guardrail\.version: expected text/],
    ['bedrock', { guardrail: { id: 'g' } }, /guardrail\.version: .*found nothing/],
    ['bedrock', { assume_role: { role_arn: 'arn:aws:s3:::x' } }, /role_arn: expected a role ARN/],
    [
      'bedrock',
      { assume_role: { role_arn: 'arn:aws:iam::1:role/x', session_name: 'mail' } },
      /session_name: expected one of email, sub/,
    ],
  ]
  for (const [provider, keys, pattern] of bad) {
    assert.match(load({ provider, ...complete[provider], ...keys }).problems.join(), pattern)
  }
  const role = { role_arn: 'arn:aws-us-gov:iam::1:role/x', external_id: 'e', session_name: 'sub' }
  assert.deepEqual(
    load({ provider: 'bedrock', ...complete.bedrock, assume_role: role }).problems,
    [],
  )
  assert.deepEqual(
    load({ provider: 'foundry', ...complete.foundry, resource: 'a'.repeat(64) }).problems,
    [],
  )
})

test('upstream config: model and group lists are not empty and hold no blanks', () => {
  for (const key of ['models', 'groups']) {
    for (const value of [[], [''], 'x']) {
      const { problems } = load({ provider: 'anthropic', ...complete.anthropic, [key]: value })
      assert.equal(problems.length, 1, `${key} ${JSON.stringify(value)}`)
    }
  }
})

test('upstream config: at least one upstream', () => {
  assert.match(
    load().problems.join(),
    /^upstreams: expected a list with at least one entry, found an empty list/,
  )
})

test('upstream config: load_test_mode has defaults and bounds', () => {
  const mode = (keys: object) => loadWith({ load_test_mode: keys })
  assert.deepEqual(mode({ enabled: true }).config().load_test_mode, {
    enabled: true,
    reply_tokens: 750,
    reply_seconds: 9.5,
  })
  assert.match(
    mode({}).problems.join(),
    /^load_test_mode\.enabled: expected true or false, found nothing/,
  )
  for (const keys of [
    { reply_tokens: 0 },
    { reply_tokens: 100_001 },
    { reply_seconds: 601 },
    { reply_seconds: -1 },
  ]) {
    assert.equal(mode({ enabled: true, ...keys }).problems.length, 1)
  }
})

test('upstream config: the type tells the kinds apart', () => {
  const [upstream]: readonly UpstreamConfig[] = load({
    provider: 'bedrock',
    ...complete.bedrock,
  }).config().upstreams
  assert.ok(upstream?.provider === 'bedrock')
  assert.equal(upstream.region, 'us-east-1')
})
