/** Requests as clients sent them and as providers behind AWS received them, recorded, asked again. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createAnthropicAws } from '../../lib/upstream/anthropic-aws.ts'
import { createBedrock } from '../../lib/upstream/bedrock.ts'
import type { ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { createAsk } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { verifySignature } from '../support/sigv4.ts'

interface Capture {
  readonly provider: string
  readonly name: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Without what only speaks of the connection or of the library that sent it. */
  readonly upstream: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    /** The signed headers; null when nothing was signed. */
    readonly signed: readonly string[] | null
    readonly body: string
  }
}

const fixture = new URL('../fixtures/upstream/aws-requests.json', import.meta.url)
const captures: readonly Capture[] = JSON.parse(readFileSync(fixture, 'utf8'))

const keys = { aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'the-secret' }
const common = { name: 'u1', region: 'us-east-1', headers: {}, timeouts: {} }
const bedrock = { ...common, provider: 'bedrock' } as const
const platform = { ...common, provider: 'anthropicAws', workspace_id: 'wrkspc_1' } as const

const create: Readonly<Record<string, (deps: ProviderDeps, base_url: string) => Upstream>> = {
  bedrock: (deps, base_url) => createBedrock(deps, { ...bedrock, base_url, auth: keys }),
  'bedrock with a bearer token': (deps, base_url) =>
    createBedrock(deps, { ...bedrock, base_url, auth: { aws_bearer_token: 'bedrock-bearer-1' } }),
  anthropicAws: (deps, base_url) =>
    createAnthropicAws(deps, { ...platform, base_url, auth: { api_key: 'aws-api-key-1' } }),
  'anthropicAws, signed': (deps, base_url) =>
    createAnthropicAws(deps, { ...platform, base_url, auth: keys }),
}

/** What a body says: JSON in one spelling, the request inside CountTokens decoded. */
function valueOf(body: string): string {
  const text = JSON.stringify(JSON.parse(body))
  const inner = /^\{"input":\{"invokeModel":\{"body":"([^"]*)"\}\}\}$/.exec(text)?.[1]
  return inner === undefined ? text : valueOf(Buffer.from(inner, 'base64').toString())
}

for (const { provider, name, path, headers, body, upstream: received } of captures) {
  test(`aws: the recorded request reaches ${provider} as recorded (${name})`, () =>
    withCloud(async ({ server, deps }) => {
      server.always({ body: '{"inputTokens":1}' })
      const lower = Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value])
      const ask = createAsk({ path, body, headers: Object.fromEntries(lower) })
      const isBedrock = provider.startsWith('bedrock')
      const model = isBedrock ? `us.anthropic.${ask.model}` : ask.model
      const result = await create[provider]?.(deps, server.url).send(ask, model)
      assert.equal(result?.kind, 'answered')
      const request = await server.request(0)
      assert.equal(request.url, received.url)
      for (const [header, value] of Object.entries(received.headers)) {
        assert.equal(request.headers[header], value, header)
      }
      assert.equal(valueOf(request.body.toString()), valueOf(received.body))
      if (received.signed === null) {
        assert.equal(request.headers['x-amz-date'], undefined)
        return
      }
      const found = verifySignature(request, keys.aws_secret_access_key)
      assert.equal(found.matches, true)
      // CountTokens was asked by another library, which signs headers of its own.
      if (!path.includes('count_tokens') || !isBedrock) {
        assert.deepEqual(found.signedHeaders, received.signed)
      }
    }))
}

test('aws: the recordings are of every way to sign in, streamed and not, counted too', () => {
  assert.equal(captures.length, 24)
  assert.deepEqual(new Set(captures.map(({ provider }) => provider)), new Set(Object.keys(create)))
})
