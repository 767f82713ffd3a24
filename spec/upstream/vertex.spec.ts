import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import type { Token, TokenSource } from '../../lib/upstream/token-cache.ts'
import { createVertex, vertexEndpoint } from '../../lib/upstream/vertex.ts'
import { checkProvider } from '../contract/upstream.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { messageEvents } from '../support/fake-upstream.ts'

const config: ProviderConfig<'vertex'> = {
  provider: 'vertex',
  name: 'u1',
  region: 'us-east5',
  project_id: 'proj-lab',
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: {},
}

const place = '/projects/proj-lab/locations/us-east5/publishers/anthropic/models'
const token: TokenSource<Token> = () =>
  Promise.resolve({ value: 'ya29.t', expiresAt: Date.now() + 3_600_000 })

checkProvider({
  provider: 'vertex',
  create: (deps, base_url) => createVertex(deps, { ...config, base_url }, token),
  model: 'claude-sonnet-4-6',
  target: `${place}/claude-sonnet-4-6:streamRawPredict`,
  body: (sent) =>
    sent
      .replace(' "model" :"claude-sonnet-4-6",\n', ' ')
      .replace(/\}$/, ',"anthropic_version":"vertex-2023-10-16"}'),
  forwards: (name) => ['anthropic-beta', 'x-stainless-lang'].includes(name),
  answer: { body: messageEvents('Hello') },
  relaysErrors: false,
})

test('vertex: a whole message is asked for by its own method, with a bearer (F383)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createVertex(deps, { ...config, base_url: `${server.url}/v1/` }, token)
    const body = '{"model":"x","tags":{"t":1},"stream":false,"n":1.0,"messages":[]}'
    const result = await upstream.send(createAsk({ body, path: '/v1/messages?a=b' }), 'claude-x')
    assert.equal(result.kind, 'answered')
    const request = await server.request(0)
    assert.equal(request.url, `/v1${place}/claude-x:rawPredict`)
    assert.equal(request.headers.authorization, 'Bearer ya29.t')
    assert.equal(request.headers['anthropic-version'], '2023-06-01')
    assert.equal(
      request.body.toString(),
      '{"stream":false,"n":1.0,"messages":[],"anthropic_version":"vertex-2023-10-16"}',
    )
  })
})

test('vertex: a stream keeps its key, written as a boolean', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createVertex(deps, { ...config, base_url: server.url }, token)
    const ask = createAsk({ body: '{"model":"m","stream":1,"anthropic_version":"v"}' })
    server.always({ body: messageEvents('Hi') })
    await upstream.send(ask, 'm')
    const { url, body } = await server.request(0)
    assert.equal(url, `${place}/m:streamRawPredict`)
    assert.equal(body.toString(), '{"stream":true,"anthropic_version":"v"}')
  })
})

test('vertex: the version of a dated model keeps its @', async () => {
  await withCloud(async ({ server, deps }) => {
    const own = { ...config, base_url: server.url, project_id: 'example.com:proj' }
    const upstream = createVertex(deps, own, token)
    await upstream.send(createAsk(), 'claude-haiku-4-5@20251001')
    await upstream.send(createAsk(), '../../x?y')
    const sent = server.requests.map(({ url }) => url.slice(url.indexOf('/models/')))
    assert.deepEqual(sent, [
      '/models/claude-haiku-4-5@20251001:rawPredict',
      '/models/..%2F..%2Fx%3Fy:rawPredict',
    ])
    assert.match(server.requests[0]?.url ?? '', /^\/projects\/example\.com:proj\/locations\//)
  })
})

test('vertex: tokens are counted with the model in the body', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"input_tokens":42}' })
    const upstream = createVertex(deps, { ...config, base_url: server.url }, token)
    const body = '{"model":"claude-sonnet-4-6","tags":{},"messages":[],"stream":true}'
    const ask = createAsk({ path: '/v1/messages/count_tokens?beta=true', body })
    const result = await upstream.send(ask, 'claude-sonnet-4-6@1')
    assert.ok(result.kind === 'answered')
    assert.equal(await readBody(result.answer.body), '{"input_tokens":42}')
    const sent = await server.request(0)
    assert.equal(sent.url, `${place}/count-tokens:rawPredict`)
    assert.equal(
      sent.body.toString(),
      '{"model":"claude-sonnet-4-6@1","messages":[],"stream":true,"anthropic_version":"vertex-2023-10-16"}',
    )
  })
})

test('vertex: betas stay in their header as sent, without the one of the tags (F183)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = createVertex(deps, { ...config, base_url: server.url }, token)
    for (const [sent, expected] of [
      ['a, b,c', 'a, b,c'],
      ['a,request-tags-2026-08-21,b', 'a,b'],
      ['request-tags-2026-08-21', undefined],
      ['', undefined],
      [undefined, undefined],
    ]) {
      const headers = sent === undefined ? {} : { 'anthropic-beta': sent }
      await upstream.send(createAsk({ headers }), 'm')
      assert.equal(server.requests.at(-1)?.headers['anthropic-beta'], expected, sent)
    }
  })
})

test('vertex: each region has its address, and a base_url replaces it with its prefix (F188 F383)', async () => {
  assert.equal(vertexEndpoint('us-east5'), 'https://us-east5-aiplatform.googleapis.com/v1')
  assert.equal(vertexEndpoint('global'), 'https://aiplatform.googleapis.com/v1')
  assert.equal(vertexEndpoint('us'), 'https://aiplatform.us.rep.googleapis.com/v1')
  await withCloud(
    async ({ deps, sent }) => {
      for (const region of ['europe-west1', 'global', 'us']) {
        await createVertex(deps, { ...config, region }, token).send(createAsk(), 'm')
      }
      const path = (region: string): string =>
        `/v1/projects/proj-lab/locations/${region}/publishers/anthropic/models/m:rawPredict`
      assert.deepEqual(sent(), [
        `https://europe-west1-aiplatform.googleapis.com${path('europe-west1')}`,
        `https://aiplatform.googleapis.com${path('global')}`,
        `https://aiplatform.us.rep.googleapis.com${path('us')}`,
      ])
    },
    { offline: true },
  )
})

test('vertex: a key file that is missing is found out by the first request', async () => {
  await withCloud(async ({ server, deps }) => {
    const auth = { service_account_json: '/nonexistent/key.json' }
    const upstream = createVertex(deps, { ...config, base_url: server.url, auth })
    const result = await upstream.send(createAsk(), 'm')
    assert.ok(result.kind === 'failed')
    assert.match(result.reason, /ENOENT.*key\.json/)
    assert.equal(server.requests.length, 0)
  })
})

test('vertex: a token that Google refuses is replaced once it is not brand-new', async () => {
  await withCloud(async ({ server, deps }) => {
    let now = Date.now()
    let calls = 0
    const clock = { ...deps.clock, now: () => now }
    const source: TokenSource<Token> = () =>
      Promise.resolve({ value: `t${++calls}`, expiresAt: now + 3_600_000 })
    const upstream = createVertex({ ...deps, clock }, { ...config, base_url: server.url }, source)
    server.next({ body: '{}' }, { status: 401, body: '{}' }, { body: '{}' })
    await upstream.send(createAsk(), 'm')
    now += 120_000
    for (let i = 0; i < 2; i++) await upstream.send(createAsk(), 'm')
    assert.deepEqual(
      server.requests.map(({ headers }) => headers.authorization),
      ['Bearer t1', 'Bearer t1', 'Bearer t2'],
    )
  })
})
