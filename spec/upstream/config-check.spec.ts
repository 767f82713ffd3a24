/** Rules between the upstreams of a file, and hosts that may not be called. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRouting, upstreamNames } from '../../lib/upstream/config-check.ts'
import { loadWith } from '../config/load.ts'

const anthropic = { provider: 'anthropic', auth: { api_key: 'k' } }
const bedrock = { provider: 'bedrock', region: 'us-east-1', auth: {} }
const guardrail = { id: 'g', version: '1' }
const load = (...upstreams: readonly object[]) => loadWith({ upstreams })

test('upstream check: two upstreams of one name are refused, default names included', () => {
  assert.deepEqual(load(anthropic, anthropic).problems, [
    'upstreams.1.name: expected a name of its own, found "anthropic", which is the name of upstreams.0 too',
  ])
  assert.deepEqual(load(anthropic, { ...bedrock, name: 'anthropic' }).problems.length, 1)
  assert.deepEqual(load(anthropic, { ...anthropic, name: 'b' }).problems, [])
})

test('upstream check: a base_url names no metadata host, and loopback only when allowed', () => {
  const meta = load({ ...anthropic, base_url: 'http://169.254.169.254/' })
  assert.match(
    meta.problems.join(),
    /^upstreams\.0\.base_url: expected a host .*a metadata address$/,
  )
  const loopback = loadWith(
    { upstreams: [{ ...bedrock, base_url: 'http://127.0.0.1:1' }] },
    { environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: undefined } },
  )
  assert.ok(loopback.problems.some((line) => line.startsWith('upstreams.0.base_url')))
  assert.deepEqual(load({ ...bedrock, base_url: 'http://127.0.0.1:1' }).problems, [])
})

test('upstream check: a guardrail stands on every bedrock upstream or on none', () => {
  const two = load({ ...bedrock, guardrail }, { ...bedrock, name: 'b2' }, anthropic)
  assert.deepEqual(two.problems, [
    'upstreams.1.guardrail: expected a guardrail on every bedrock upstream, as on upstreams.0, or on none, found nothing',
  ])
  const both = load({ ...bedrock, guardrail }, { ...bedrock, name: 'b2', guardrail })
  assert.deepEqual(both.problems, [])
})

test('upstream check: a mantle upstream cannot stand beside a guardrail', () => {
  const mantle = { provider: 'mantle', region: 'us-east-1', auth: {}, models: ['claude-opus-4-8'] }
  assert.match(
    load({ ...bedrock, guardrail }, mantle).problems.join(),
    /^upstreams\.1\.provider: expected no mantle upstream beside the guardrail of upstreams\.0/,
  )
  assert.deepEqual(load(bedrock, mantle).problems, [])
})

test('upstream check: a role cannot be assumed with a bearer token', () => {
  const assume_role = { role_arn: 'arn:aws:iam::1:role/x' }
  assert.match(
    load({ ...bedrock, assume_role, auth: { aws_bearer_token: 't' } }).problems.join(),
    /^upstreams\.0\.assume_role: expected no assume_role beside aws_bearer_token/,
  )
  assert.deepEqual(load({ ...bedrock, assume_role }).problems, [])
})

test('upstream check: the identity of callers is not sent to Anthropic', () => {
  for (const base_url of [undefined, 'https://api.anthropic.com/x', 'https://EU.anthropic.com.']) {
    assert.match(
      load({ ...anthropic, base_url, forward_user_identity: true }).problems.join(),
      /^upstreams\.0\.forward_user_identity: expected false for Anthropic itself/,
    )
  }
  const own = load({
    ...anthropic,
    base_url: 'https://notanthropic.com',
    forward_user_identity: true,
  })
  assert.deepEqual(own.problems, [])
  assert.match(
    own.warnings.join(),
    /sends the subject and email address of every caller to notanthropic\.com/,
  )
})

test('upstream check: credential files that are not there yet are warned about', () => {
  const federation = { federation_rule_id: 'r', organization_id: 'o', identity_token_file: '/t' }
  assert.match(
    load({ provider: 'anthropic', auth: federation }).warnings.join(),
    /^upstreams\.0\.auth\.identity_token_file: \/t: there is no such file; requests fail until/,
  )
  const vertex = {
    provider: 'vertex',
    region: 'us-east5',
    project_id: 'p',
    auth: { service_account_json: '/sa.json' },
  }
  assert.ok(load(vertex).warnings.some((line) => line.includes('/sa.json: there is no such file')))
  const there = loadWith({ upstreams: [vertex] }, { files: { '/sa.json': '{}' } })
  assert.ok(!there.warnings.some((line) => line.includes('sa.json')))
})

test('upstream check: limits of providers are said once at boot', () => {
  const google = { provider: 'anthropicGoogleCloud', project_id: 'p', workspace_id: 'w', auth: {} }
  assert.match(
    load(google).warnings.join(),
    /without base_url every request to this upstream fails/,
  )
  assert.deepEqual(load({ ...google, base_url: 'https://x.example.com' }).warnings, [])
})

test('upstream check: load-test mode is said loudly', () => {
  const { warnings } = loadWith({ load_test_mode: { enabled: true } })
  assert.match(warnings.join(), /load_test_mode is on/)
  assert.deepEqual(loadWith({ load_test_mode: { enabled: false } }).warnings, [])
})

test('upstream check: extensions for an upstream name one that exists', () => {
  const { problems } = loadWith({
    extensions: { upstreams: { antropic: { upstream_ttfb_ms: 500 } } },
  })
  assert.deepEqual(problems, [
    'extensions.upstreams.antropic: expected the name of an upstream (anthropic), found the name "antropic"; did you mean anthropic?',
  ])
  const fine = loadWith({ extensions: { upstreams: { anthropic: { upstream_ttfb_ms: 500 } } } })
  assert.deepEqual(fine.problems, [])
})

test('upstream check: while a name is in doubt nothing is compared with names', () => {
  assert.equal(upstreamNames([{ provider: 'anthropic', name: 'a' }, undefined]), null)
  assert.equal(upstreamNames([{ provider: 'anthropic' }]), null)
  assert.equal(upstreamNames(undefined), null)
  assert.deepEqual(upstreamNames([{ provider: 'anthropic', name: 'a' }]), ['a'])
  const { problems } = loadWith({
    'upstreams.0.provider': 'antropic',
    models: [{ id: 'm', upstream_model: { anthropic: 'x' } }],
  })
  assert.equal(problems.length, 1)
})

test('upstream check: it is quiet about a section that could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => false,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  checkRouting({}, facts, report)
  checkRouting({ upstreams: [undefined, {}] }, facts, report)
})
