import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAnthropicGoogleCloud } from '../../lib/upstream/anthropic-google-cloud.ts'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { checkProvider } from '../contract/upstream.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { messageEvents } from '../support/fake-upstream.ts'

const config: ProviderConfig<'anthropicGoogleCloud'> = {
  provider: 'anthropicGoogleCloud',
  name: 'u1',
  project_id: 'proj-lab',
  workspace_id: 'wrkspc_1',
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: { access_token: 'ya29.fixed' },
}

checkProvider({
  provider: 'anthropicGoogleCloud',
  create: (deps, base_url) => createAnthropicGoogleCloud(deps, { ...config, base_url }),
  model: 'claude-sonnet-4-6',
  target: '/v1/messages',
  body: (sent) => sent,
  forwards: (name) => ['anthropic-beta', 'x-stainless-lang'].includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: false,
})

test('anthropicGoogleCloud: the token is sent with the workspace (F386)', async () => {
  await withCloud(async ({ server, deps }) => {
    const base_url = `${server.url}/prefix`
    const upstream = createAnthropicGoogleCloud(deps, { ...config, base_url })
    const headers = { 'anthropic-beta': 'a, b', 'anthropic-workspace-id': 'spoof' }
    const path = '/v1/messages/count_tokens'
    server.always({ body: '{"input_tokens":42}' })
    const result = await upstream.send(createAsk({ headers, path }), 'claude-sonnet-4-6')
    assert.ok(result.kind === 'answered')
    assert.equal(await readBody(result.answer.body), '{"input_tokens":42}')
    const sent = await server.request(0)
    assert.equal(sent.url, '/prefix/v1/messages/count_tokens')
    assert.equal(sent.headers.authorization, 'Bearer ya29.fixed')
    assert.equal(sent.headers['anthropic-workspace-id'], 'wrkspc_1')
    assert.equal(sent.headers['anthropic-beta'], 'a, b')
  })
})

test('anthropicGoogleCloud: without keys the default credentials are asked, once', async () => {
  await withCloud(async ({ server, deps }) => {
    let calls = 0
    const upstream = createAnthropicGoogleCloud(
      deps,
      { ...config, base_url: server.url, auth: {} },
      () => Promise.resolve({ value: `adc${++calls}`, expiresAt: Date.now() + 3_600_000 }),
    )
    for (let i = 0; i < 3; i++) await upstream.send(createAsk(), 'm')
    assert.equal(server.requests.at(-1)?.headers.authorization, 'Bearer adc1')
    assert.equal(calls, 1)
  })
})

test('anthropicGoogleCloud: a key file is read with the first request', async () => {
  await withCloud(async ({ server, deps }) => {
    const auth = { service_account_json: '/nonexistent/key.json' }
    const upstream = createAnthropicGoogleCloud(deps, { ...config, base_url: server.url, auth })
    const result = await upstream.send(createAsk(), 'm')
    assert.ok(result.kind === 'failed')
    assert.match(result.reason, /ENOENT/)
  })
})

test('anthropicGoogleCloud: without an address every request fails over', async () => {
  await withCloud(async ({ deps }) => {
    const upstream = createAnthropicGoogleCloud(deps, config)
    const result = await upstream.send(createAsk(), 'm')
    assert.deepEqual(result, { kind: 'failed', reason: 'no base_url is configured' })
  })
})
