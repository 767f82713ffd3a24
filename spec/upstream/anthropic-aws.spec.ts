import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAnthropicAws } from '../../lib/upstream/anthropic-aws.ts'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { checkProvider } from '../contract/upstream.ts'
import { createAsk, readBody, shortBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { messageEvents } from '../support/fake-upstream.ts'
import { verifySignature } from '../support/sigv4.ts'

const config: ProviderConfig<'anthropicAws'> = {
  provider: 'anthropicAws',
  name: 'u1',
  region: 'us-east-1',
  workspace_id: 'wrkspc_1',
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' },
}
const model = 'claude-sonnet-4-6'

checkProvider({
  provider: 'anthropicAws',
  create: (deps, base_url) => createAnthropicAws(deps, { ...config, base_url }),
  model,
  target: '/v1/messages',
  body: (sent) => sent,
  forwards: (name) => ['anthropic-beta', 'x-stainless-lang'].includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: false,
})

test('anthropicAws: requests are signed for its service, workspace and betas included (F183 F200 F385)', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"type":"message"}' })
    const upstream = createAnthropicAws(deps, { ...config, base_url: server.url })
    const headers = {
      'anthropic-beta': 'b-1,request-tags-2026-08-21, b-2',
      'anthropic-workspace-id': 'spoof',
      'x-stainless-lang': 'js',
    }
    for (const path of ['/v1/messages?beta=true', '/v1/messages/count_tokens']) {
      await upstream.send(createAsk({ path, headers }), model)
    }
    for (const [index, url] of ['/v1/messages', '/v1/messages/count_tokens'].entries()) {
      const request = await server.request(index)
      assert.equal(request.url, url)
      assert.equal(request.headers['anthropic-workspace-id'], 'wrkspc_1')
      assert.equal(request.headers['anthropic-beta'], headers['anthropic-beta'])
      const found = verifySignature(request, 'the-secret')
      assert.deepEqual(found.signedHeaders, [
        'accept',
        'anthropic-beta',
        'anthropic-version',
        'anthropic-workspace-id',
        'content-type',
        'host',
        'x-amz-content-sha256',
        'x-amz-date',
        'x-own',
        'x-stainless-lang',
      ])
      assert.equal(found.service, 'aws-external-anthropic')
      assert.equal(found.matches, true)
    }
  })
})

test('anthropicAws: an API key wins over a key pair, and the workspace is named all the same (F187)', async () => {
  await withCloud(async ({ server, deps }) => {
    const auth = { ...config.auth, api_key: 'aws-key-1' }
    const upstream = createAnthropicAws(deps, { ...config, auth, base_url: server.url })
    await upstream.send(createAsk(), model)
    const { headers } = await server.request(0)
    assert.equal(headers['x-api-key'], 'aws-key-1')
    assert.equal(headers.authorization, undefined)
    assert.equal(headers['anthropic-workspace-id'], 'wrkspc_1')
  })
})

test('anthropicAws: tags stay, the model is spelled its way, stream becomes a boolean', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createAnthropicAws(deps, { ...config, base_url: server.url })
    const body = '{"stream":1, "model" : "m","tags":{"a":1.0}}'
    await upstream.send(createAsk({ body }), model)
    assert.equal(
      (await server.request(0)).body.toString(),
      `{"stream":true, "model" : "${model}","tags":{"a":1.0}}`,
    )
  })
})

test('anthropicAws: streams come in the exact framing of clients', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: [': hi\n\n', ...messageEvents('Hello')] })
    const upstream = createAnthropicAws(deps, { ...config, base_url: server.url })
    const ask = createAsk({ body: shortBody.replace('{', '{"stream":true,') })
    const result = await upstream.send(ask, model)
    assert.ok(result.kind === 'answered')
    const text = await readBody(result.answer.body)
    assert.doesNotMatch(text, /ping|: hi/)
    assert.match(text, /^event: message_start\ndata: .*\n\n.*event: message_stop/s)
  })
})

test('anthropicAws: without base_url the region has its own address (F187)', async () => {
  await withCloud(
    async ({ deps, sent }) => {
      await createAnthropicAws(deps, { ...config, region: 'eu-west-1' }).send(createAsk(), model)
      assert.deepEqual(sent(), ['https://aws-external-anthropic.eu-west-1.api.aws/v1/messages'])
    },
    { offline: true },
  )
})
