/** Requests as clients sent them and as the providers received them, recorded, asked again here. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createAnthropic } from '../../lib/upstream/anthropic.ts'
import { createFoundry } from '../../lib/upstream/foundry.ts'
import type { Token, TokenSource } from '../../lib/upstream/token-cache.ts'
import type { ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { createVertex } from '../../lib/upstream/vertex.ts'
import { createAsk } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'

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
    readonly body: string
  }
}

const fixture = new URL('../fixtures/upstream/cloud-requests.json', import.meta.url)
const captures: readonly Capture[] = JSON.parse(readFileSync(fixture, 'utf8'))

const tokens =
  (value: string): TokenSource<Token> =>
  () =>
    Promise.resolve({ value, expiresAt: Date.now() + 3_600_000 })

const common = { name: 'u1', headers: {}, timeouts: {} }

const create: Readonly<Record<string, (deps: ProviderDeps, base_url: string) => Upstream>> = {
  vertex: (deps, base_url) => {
    const place = { region: 'us-east5', project_id: 'proj-lab' }
    const config = { ...common, ...place, provider: 'vertex', base_url, auth: {} } as const
    return createVertex(deps, config, tokens('ya29.meta'))
  },
  foundry: (deps, base_url) => {
    const auth = { api_key: 'fnd-key-1' }
    const config = { ...common, provider: 'foundry', base_url, resource: 'r1', auth } as const
    return createFoundry(deps, config)
  },
  'foundry with Azure AD': (deps, base_url) => {
    const auth = { use_azure_ad: true } as const
    const config = { ...common, provider: 'foundry', base_url, resource: 'r1', auth } as const
    return createFoundry(deps, config, tokens('msi-tok'))
  },
  'anthropic with federation': (deps, base_url) => {
    const identity_token_file = fileURLToPath(import.meta.url)
    const auth = { federation_rule_id: 'f', organization_id: 'o', identity_token_file }
    const config = { ...common, provider: 'anthropic', base_url, auth } as const
    return createAnthropic(deps, { ...config, forward_user_identity: false })
  },
}

/** Headers of the recorded kind only. */
function comparable(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const left = { ...headers }
  for (const name of ['host', 'connection', 'content-length', 'accept-encoding', 'user-agent']) {
    delete left[name]
  }
  return left
}

for (const { provider, name, path, headers, body, upstream: received } of captures) {
  test(`clouds: the recorded request reaches ${provider} as recorded (${name})`, () =>
    withCloud(async ({ server, deps }) => {
      server.always(({ url }) => ({
        body: url.endsWith('/token') ? '{"access_token":"wif-at-1","expires_in":3600}' : '{}',
      }))
      const lower = Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value])
      const sentHeaders = { 'content-type': 'application/json', ...Object.fromEntries(lower) }
      const ask = createAsk({ path, body, headers: sentHeaders })
      const upstream = create[provider]?.(deps, server.url)
      const result = await upstream?.send(ask, ask.model)
      assert.equal(result?.kind, 'answered')
      const request = server.requests.at(-1)
      assert.equal(request?.url, received.url)
      assert.deepEqual(comparable(request.headers), comparable(received.headers))
      // They parsed and wrote anew what is here spliced: the same value, with its keys in order.
      const sent = request.body.toString()
      assert.equal(JSON.stringify(JSON.parse(sent)), JSON.stringify(JSON.parse(received.body)))
      // Every spelling of the client's is still there.
      for (const spelling of ['100.0', '[1.50,1e3]', 'h\\u0069 \\/ ü']) {
        assert.equal(sent.includes(spelling), body.includes(spelling), spelling)
      }
    }))
}

test('clouds: the recordings are of every provider, streamed and not, with and without headers', () => {
  assert.equal(captures.length, 24)
  assert.deepEqual(new Set(captures.map(({ provider }) => provider)), new Set(Object.keys(create)))
})
