import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { createFoundry } from '../../lib/upstream/foundry.ts'
import type { Token, TokenSource } from '../../lib/upstream/token-cache.ts'
import { checkProvider } from '../contract/upstream.ts'
import { withCloud } from '../support/cloud.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { messageEvents } from '../support/fake-upstream.ts'

const config: ProviderConfig<'foundry'> = {
  provider: 'foundry',
  name: 'u1',
  resource: 'example',
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: { api_key: 'fnd-key-1' },
}

checkProvider({
  provider: 'foundry',
  create: (deps, base_url) => createFoundry(deps, { ...config, base_url }),
  model: 'claude-sonnet-4-6',
  target: '/v1/messages',
  body: (sent) => sent,
  forwards: (name) => ['anthropic-beta', 'x-stainless-lang'].includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: false,
})

/** Tokens `t1`, `t2`, …, and how many there were. */
function createSource(): { readonly source: TokenSource<Token>; readonly calls: () => number } {
  let calls = 0
  return {
    calls: () => calls,
    source: () => Promise.resolve({ value: `t${++calls}`, expiresAt: Date.now() + 3_600_000 }),
  }
}

test('foundry: the key is sent as x-api-key, to the path behind base_url (F183 F189)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createFoundry(deps, { ...config, base_url: `${server.url}/prefix/` })
    const ask = createAsk({
      headers: { 'anthropic-beta': 'a,request-tags-2026-08-21, b' },
      body: '{"model":"claude-sonnet-4-6","tags":{"t":"x"},"stream":0}',
    })
    const result = await upstream.send(ask, 'claude-sonnet-4-6')
    assert.equal(result.kind, 'answered')
    const { url, headers, body } = await server.request(0)
    assert.equal(url, '/prefix/v1/messages')
    assert.equal(headers['x-api-key'], 'fnd-key-1')
    assert.equal(headers.authorization, undefined)
    assert.equal(headers['anthropic-dangerous-direct-browser-access'], undefined)
    assert.equal(headers['anthropic-beta'], 'a,request-tags-2026-08-21, b')
    assert.equal(headers['anthropic-version'], '2023-06-01')
    assert.equal(body.toString(), '{"model":"claude-sonnet-4-6","tags":{"t":"x"},"stream":0}')
  })
})

test('foundry: the model is written as foundry spells it, and stream as a boolean', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createFoundry(deps, { ...config, base_url: server.url })
    const body = '{"stream":1, "model" : "claude-x","n":1.0}'
    const result = await upstream.send(createAsk({ body }), 'deployment-1')
    assert.equal(result.kind, 'answered')
    const sent = (await server.request(0)).body.toString()
    assert.equal(sent, '{"stream":true, "model" : "deployment-1","n":1.0}')
  })
})

test('foundry: an empty beta header is left out', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createFoundry(deps, { ...config, base_url: server.url })
    await upstream.send(createAsk({ headers: { 'anthropic-beta': '' } }), 'm')
    assert.equal('anthropic-beta' in (await server.request(0)).headers, false)
  })
})

test('foundry: one Azure token serves many requests, marked as the API asks (F189 B031)', async () => {
  await withCloud(async ({ server, deps }) => {
    const { source, calls } = createSource()
    const own = { ...config, base_url: server.url, auth: { use_azure_ad: true } as const }
    const upstream = createFoundry(deps, own, source)
    const sends = Array.from({ length: 100 }, () => upstream.send(createAsk(), 'm'))
    for (const { kind } of await Promise.all(sends)) assert.equal(kind, 'answered')
    assert.equal(calls(), 1)
    for (const { headers } of server.requests) {
      assert.equal(headers.authorization, 'Bearer t1')
      assert.equal(headers['anthropic-dangerous-direct-browser-access'], 'true')
      assert.equal(headers['x-api-key'], undefined)
    }
  })
})

test('foundry: credentials that cannot be had are a failure of the upstream', async () => {
  await withCloud(async ({ server, deps }) => {
    const own = { ...config, base_url: server.url, auth: { use_azure_ad: true } as const }
    const upstream = createFoundry(deps, own, () =>
      Promise.reject(new Error('no managed identity')),
    )
    const result = await upstream.send(createAsk(), 'm')
    assert.deepEqual(result, { kind: 'failed', reason: 'no managed identity' })
    assert.equal(server.requests.length, 0)
  })
})

test('foundry: counting tokens has its own path and keeps the body', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"input_tokens":42}' })
    const upstream = createFoundry(deps, { ...config, base_url: server.url })
    const ask = createAsk({ path: '/v1/messages/count_tokens?beta=true' })
    const result = await upstream.send(ask, ask.model)
    assert.ok(result.kind === 'answered')
    assert.equal(await readBody(result.answer.body), '{"input_tokens":42}')
    const { url, body } = await server.request(0)
    assert.equal(url, '/v1/messages/count_tokens')
    assert.ok(body.equals(ask.body.bytes))
  })
})

test("foundry: without base_url the address is the resource's", async () => {
  await withCloud(
    async ({ deps, sent }) => {
      await createFoundry(deps, { ...config, resource: 'example-foundry' }).send(createAsk(), 'm')
      assert.deepEqual(sent(), [
        'https://example-foundry.services.ai.azure.com/anthropic/v1/messages',
      ])
    },
    { offline: true },
  )
})
