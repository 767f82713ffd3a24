/**
 * What Anthropic's own libraries send to a provider, beside what the gateway's adapter sends for
 * the same request of a client that uses the library. Where they differ, the difference is named.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnthropicFoundry } from '@anthropic-ai/foundry-sdk'
import Anthropic from '@anthropic-ai/sdk'
import { createAnthropic } from '../../lib/upstream/anthropic.ts'
import { createFoundry } from '../../lib/upstream/foundry.ts'
import type { Upstream } from '../../lib/upstream/upstream.ts'
import { createAsk } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { type FakeUpstream, type RecordedRequest } from '../support/fake-upstream.ts'

const model = 'claude-sonnet-4-6'
const question = {
  model,
  max_tokens: 100,
  temperature: 0.5,
  system: 'Be brief.',
  tools: [{ name: 'look', input_schema: { type: 'object' as const } }],
  messages: [{ role: 'user' as const, content: 'Grüße 🌍' }],
}

/** Headers that this hop writes, whatever the client sent, that say who sends, or that fetch adds. */
const hops = new Set([
  'connection',
  'content-length',
  'host',
  'user-agent',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
])

/** Asks with the library, then puts what it sent to the adapter as a client's request. */
async function compare(
  client: { readonly messages: Pick<Anthropic['messages'], 'create' | 'stream'> },
  server: FakeUpstream,
  upstream: Upstream,
  stream: boolean,
): Promise<{ library: RecordedRequest; adapter: RecordedRequest; headers: string[] }> {
  if (stream) await client.messages.stream(question).done()
  else await client.messages.create(question)
  const library = await server.request(0)
  const { authorization, 'x-api-key': key, ...headers } = library.headers
  assert.ok(authorization !== undefined || key !== undefined)
  const ask = createAsk({ body: library.body.toString(), headers })
  const result = await upstream.send(ask, model)
  assert.equal(result.kind, 'answered')
  const adapter = await server.request(1)
  const names = new Set([...Object.keys(library.headers), ...Object.keys(adapter.headers)])
  const differing = [...names]
    .filter((name) => !hops.has(name) && library.headers[name] !== adapter.headers[name])
    .map((name) => `${name}: ${String(library.headers[name])} → ${String(adapter.headers[name])}`)
  return { library, adapter, headers: differing.toSorted() }
}

for (const stream of [false, true]) {
  const how = stream ? 'streamed' : 'whole'

  test(`oracle: anthropic is asked as its library asks it (${how})`, async () => {
    await withCloud(async ({ server, deps }) => {
      const auth = { api_key: 'sk-1' }
      const upstream = createAnthropic(deps, {
        provider: 'anthropic',
        name: 'u1',
        base_url: server.url,
        forward_user_identity: false,
        headers: {},
        timeouts: {},
        auth,
      })
      const client = new Anthropic({ apiKey: auth.api_key, baseURL: server.url, maxRetries: 0 })
      const { library, adapter, headers } = await compare(client, server, upstream, stream)
      assert.equal(adapter.url, library.url)
      assert.deepEqual(adapter.body, library.body)
      // A key goes where the API has always taken it; newer libraries send it as a bearer.
      assert.deepEqual(headers, [
        'authorization: Bearer sk-1 → undefined',
        'x-api-key: undefined → sk-1',
      ])
    })
  })

  test(`oracle: foundry is asked as its library asks it (${how})`, async () => {
    await withCloud(async ({ server, deps }) => {
      const auth = { api_key: 'fnd-1' }
      const upstream = createFoundry(deps, {
        provider: 'foundry',
        name: 'u1',
        resource: 'example',
        base_url: `${server.url}/anthropic`,
        headers: {},
        timeouts: {},
        auth,
      })
      const client = new AnthropicFoundry({
        apiKey: auth.api_key,
        baseURL: `${server.url}/anthropic/`,
        maxRetries: 0,
      })
      const { library, adapter, headers } = await compare(client, server, upstream, stream)
      assert.equal(adapter.url, library.url)
      assert.deepEqual(adapter.body, library.body)
      // As recorded, clouds are asked in one version of the API, whatever the client speaks.
      assert.deepEqual(headers, [
        `anthropic-version: ${String(library.headers['anthropic-version'])} → 2023-06-01`,
      ])
    })
  })
}
