import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createAnthropic } from '../../lib/upstream/anthropic.ts'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import { createFederatedTokens } from '../../lib/upstream/federation.ts'
import type { ProviderDeps } from '../../lib/upstream/upstream.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { type CloudBench, withCloud } from '../support/cloud.ts'
import type { Behaviour, RecordedRequest } from '../support/fake-upstream.ts'

interface Bench extends CloudBench {
  /** The file that the platform writes. */
  readonly path: string
  readonly config: ProviderConfig<'anthropic'>
  /** Requests for tokens, and all others. */
  readonly exchanges: () => readonly RecordedRequest[]
  readonly messages: () => readonly RecordedRequest[]
  /** How the token endpoint answers from now on; tokens `wif-1`, `wif-2`, … until told. */
  readonly exchange: (behaviour: Behaviour) => void
}

async function withFederation(work: (bench: Bench) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'federation-'))
  const path = join(folder, 'token')
  writeFileSync(path, 'oidc-id-token-1\n')
  try {
    await withCloud(async (bench) => {
      const { server } = bench
      let scripted: Behaviour | null = null
      let tokens = 0
      const isExchange = ({ url }: RecordedRequest): boolean => url.endsWith('/v1/oauth/token')
      server.always((request) => {
        if (!isExchange(request)) return { body: '{"id":"msg_1"}' }
        return (
          scripted ?? {
            body: JSON.stringify({ access_token: `wif-${++tokens}`, expires_in: 3600 }),
          }
        )
      })
      await work({
        ...bench,
        path,
        config: {
          provider: 'anthropic',
          name: 'u1',
          base_url: server.url,
          headers: { 'x-own': 'yes' },
          timeouts: {},
          auth: {
            federation_rule_id: 'fdrl_1',
            organization_id: 'org-1',
            identity_token_file: path,
            service_account_id: 'svac_1',
            workspace_id: 'wrkspc_x',
          },
          forward_user_identity: false,
        },
        exchanges: () => server.requests.filter(isExchange),
        messages: () => server.requests.filter((request) => !isExchange(request)),
        exchange: (behaviour) => void (scripted = behaviour),
      })
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('federation: the identity token is exchanged for an access token, once for many requests (F179 B031)', async () => {
  await withFederation(async ({ config, deps, exchanges, messages }) => {
    const upstream = createAnthropic(deps, config)
    const sends = Array.from({ length: 100 }, () => upstream.send(createAsk(), 'm'))
    for (const { kind } of await Promise.all(sends)) assert.equal(kind, 'answered')
    const [exchange, ...more] = exchanges()
    assert.equal(more.length, 0)
    assert.equal(exchange?.method, 'POST')
    assert.equal(exchange.url, '/v1/oauth/token')
    assert.equal(
      exchange.body.toString(),
      '{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"oidc-id-token-1","federation_rule_id":"fdrl_1","organization_id":"org-1","service_account_id":"svac_1","workspace_id":"wrkspc_x"}',
    )
    assert.equal(exchange.headers['content-type'], 'application/json')
    assert.equal(exchange.headers['anthropic-beta'], 'oauth-2025-04-20,oidc-federation-2026-04-01')
    assert.equal(exchange.headers['x-own'], undefined)
    for (const { headers } of messages()) {
      assert.equal(headers.authorization, 'Bearer wif-1')
      assert.equal(headers['anthropic-beta'], 'oauth-2025-04-20')
      assert.equal(headers['x-api-key'], undefined)
      assert.equal(headers['x-own'], 'yes')
    }
    assert.equal(messages().length, 100)
  })
})

test("federation: the bearer's beta stands behind the client's, and a path prefix is kept", async () => {
  await withFederation(async ({ config, server, deps, exchanges, messages }) => {
    const upstream = createAnthropic(deps, { ...config, base_url: `${server.url}/api/` })
    await upstream.send(createAsk({ headers: { 'anthropic-beta': 'a,b' } }), 'm')
    assert.equal(exchanges()[0]?.url, '/api/v1/oauth/token')
    assert.equal(messages()[0]?.url, '/api/v1/messages')
    assert.equal(messages()[0]?.headers['anthropic-beta'], 'a,b, oauth-2025-04-20')
  })
})

test('federation: ids that are not configured are not sent', async () => {
  await withFederation(async ({ config, deps, path, exchanges }) => {
    const auth = { federation_rule_id: 'f', organization_id: 'o', identity_token_file: path }
    await createAnthropic(deps, { ...config, auth }).send(createAsk(), 'm')
    assert.deepEqual(JSON.parse(exchanges()[0]?.body.toString() ?? ''), {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: 'oidc-id-token-1',
      federation_rule_id: 'f',
      organization_id: 'o',
    })
  })
})

test('federation: the file is read again for the next token (F179)', async () => {
  await withFederation(async ({ deps, server, path, config, exchanges }) => {
    assert.ok('federation_rule_id' in config.auth)
    const source = createFederatedTokens(deps, new URL(server.url), config.auth)
    const { signal } = new AbortController()
    assert.equal((await source(signal)).value, 'wif-1')
    writeFileSync(path, '  oidc-id-token-2  ')
    assert.equal((await source(signal)).value, 'wif-2')
    const assertions = exchanges().map(
      ({ body }) => /"assertion":"([^"]*)"/.exec(String(body))?.[1],
    )
    assert.deepEqual(assertions, ['oidc-id-token-1', 'oidc-id-token-2'])
  })
})

/** Time that is moved by hand, on timers that run. */
function createShiftedDeps(deps: ProviderDeps): {
  readonly deps: ProviderDeps
  readonly shift: (byMs: number) => void
} {
  let shiftMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + shiftMs }
  return { deps: { ...deps, clock }, shift: (byMs) => void (shiftMs += byMs) }
}

test('federation: a token that ends soon is renewed while it is used', async () => {
  await withFederation(async ({ config, deps, exchanges, messages }) => {
    const { deps: shifted, shift } = createShiftedDeps(deps)
    const upstream = createAnthropic(shifted, config)
    await upstream.send(createAsk(), 'm')
    shift(56 * 60_000)
    await upstream.send(createAsk(), 'm')
    while (exchanges().length < 2) await upstream.send(createAsk(), 'm')
    while (messages().at(-1)?.headers.authorization !== 'Bearer wif-2') {
      await upstream.send(createAsk(), 'm')
    }
    assert.equal(exchanges().length, 2)
    assert.equal(messages()[1]?.headers.authorization, 'Bearer wif-1')
  })
})

test('federation: a token that the API refuses is replaced, once it is not brand-new', async () => {
  await withFederation(async ({ config, deps, server, messages }) => {
    const { deps: shifted, shift } = createShiftedDeps(deps)
    const upstream = createAnthropic(shifted, config)
    await upstream.send(createAsk(), 'm')
    shift(120_000)
    server.next({ status: 401, body: '{"type":"error"}' })
    const refused = await upstream.send(createAsk(), 'm')
    assert.ok(refused.kind === 'answered')
    assert.equal(await readBody(refused.answer.body), '{"type":"error"}')
    await upstream.send(createAsk(), 'm')
    assert.equal(messages().at(-1)?.headers.authorization, 'Bearer wif-2')
  })
})

test('federation: a missing file or a refused exchange is a failure of the upstream', async () => {
  await withFederation(async ({ config, deps, path, exchange, messages }) => {
    exchange({ status: 403, body: '{"error":"access_denied"}' })
    const refused = await createAnthropic(deps, config).send(createAsk(), 'm')
    assert.ok(refused.kind === 'failed')
    assert.equal(refused.reason, 'the token endpoint answered 403: {"error":"access_denied"}')
    rmSync(path)
    const missing = await createAnthropic(deps, config).send(createAsk(), 'm')
    assert.ok(missing.kind === 'failed')
    assert.match(missing.reason, /^ENOENT: /)
    assert.equal(messages().length, 0)
    writeFileSync(path, '')
  })
})

test('federation: a token endpoint that hangs does not hold a client that leaves', async () => {
  await withFederation(async ({ config, deps, exchange, server }) => {
    exchange({ fault: 'stall-before-head' })
    const controller = new AbortController()
    const sent = createAnthropic(deps, config).send(createAsk({ signal: controller.signal }), 'm')
    await server.request(0)
    controller.abort()
    assert.deepEqual(await sent, { kind: 'client-gone' })
  })
})
