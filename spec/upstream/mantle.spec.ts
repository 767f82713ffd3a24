import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { createMantle } from '../../lib/upstream/mantle.ts'
import { checkProvider } from '../contract/upstream.ts'
import { createAsk, shortBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { messageEvents } from '../support/fake-upstream.ts'
import { verifySignature } from '../support/sigv4.ts'

const config: ProviderConfig<'mantle'> = {
  provider: 'mantle',
  name: 'u1',
  region: 'us-east-1',
  models: ['claude-sonnet-4-6'],
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' },
}
const model = 'anthropic.claude-sonnet-4-6'

checkProvider({
  provider: 'mantle',
  create: (deps, base_url) => createMantle(deps, { ...config, base_url }),
  model,
  target: '/v1/messages',
  body: (sent) => sent,
  forwards: (name) => ['anthropic-beta', 'x-stainless-lang'].includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: false,
})

test('mantle: the model is in its form, tags and their beta stay here (F190)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createMantle(deps, { ...config, base_url: `${server.url}/anthropic` })
    const ask = createAsk({
      body: shortBody.replace('{', '{"tags":{"a":1}, "n":1.0,'),
      headers: { 'anthropic-beta': 'b-1, request-tags-2026-08-21,b-2' },
    })
    await upstream.send(ask, model)
    const request = await server.request(0)
    assert.equal(request.url, '/anthropic/v1/messages')
    assert.equal(request.headers['anthropic-beta'], 'b-1,b-2')
    assert.equal(
      request.body.toString(),
      shortBody.replace('{', '{"n":1.0,').replace('claude-', 'anthropic.claude-'),
    )
  })
})

test('mantle: requests are signed for its service, or carry the bearer token', async () => {
  await withCloud(async ({ server, deps }) => {
    const path = '/v1/messages/count_tokens'
    const at = { ...config, base_url: server.url }
    await createMantle(deps, at).send(createAsk({ path }), model)
    const auth = { aws_bearer_token: 'bearer-1' }
    await createMantle(deps, { ...at, auth }).send(createAsk({ path }), model)
    const signed = await server.request(0)
    assert.equal(signed.url, path)
    const { service, matches } = verifySignature(signed, 'the-secret')
    assert.deepEqual({ service, matches }, { service: 'bedrock-mantle', matches: true })
    assert.equal((await server.request(1)).headers.authorization, 'Bearer bearer-1')
  })
})

test('mantle: without base_url the region has its own address (F190)', async () => {
  await withCloud(
    async ({ deps, sent }) => {
      await createMantle(deps, { ...config, region: 'eu-west-1' }).send(createAsk(), model)
      assert.deepEqual(sent(), ['https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages'])
    },
    { offline: true },
  )
})
