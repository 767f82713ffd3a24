import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Egress } from '../../lib/egress/egress.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { UpstreamConfig } from '../../lib/upstream/config.ts'
import { createUpstreams, type UpstreamsConfig } from '../../lib/upstream/registry.ts'
import { createRecorder as createLogRecorder } from '../support/recorder.ts'
import { createAsk, readBody } from '../support/ask.ts'

const common = { headers: {}, timeouts: {} }

function anthropic(name: string, changes: Partial<typeof common> = {}): UpstreamConfig {
  return {
    provider: 'anthropic',
    name,
    base_url: 'http://upstream.example',
    auth: { api_key: 'k' },
    forward_user_identity: false,
    ...common,
    ...changes,
  }
}

const bedrock: UpstreamConfig = {
  provider: 'bedrock',
  name: 'aws',
  region: 'us-east-1',
  auth: {},
  ...common,
}

/** Fails every request, and remembers what deadline it had. */
function createRecorder(): Egress & { readonly deadlines: number[] } {
  const deadlines: number[] = []
  return {
    deadlines,
    request({ headTimeoutMs }) {
      deadlines.push(headTimeoutMs)
      return Promise.reject(new Error('recorded'))
    },
    fetch,
    close: () => Promise.resolve(),
  }
}

function create(egress: Egress, config: Partial<UpstreamsConfig>) {
  const timeouts = { upstream_ttfb_ms: 120_000 }
  const { log } = createLogRecorder()
  return createUpstreams(
    { egress, cloudEgress: egress, clock: systemClock, log },
    { upstreams: [], timeouts, ...config },
  )
}

test('registry: the deadline of the head is the most particular one configured (F201 B028)', async () => {
  const egress = createRecorder()
  const served = create(egress, {
    upstreams: [
      anthropic('everyone'),
      anthropic('own', { timeouts: { upstream_ttfb_ms: 2_000 } }),
      anthropic('extended', { timeouts: { upstream_ttfb_ms: 2_000 } }),
    ],
    extensions: { upstreams: { extended: { upstream_ttfb_ms: 3_000 }, own: {} } },
  })
  for (const upstream of served) await upstream.send(createAsk(), 'm')
  assert.deepEqual(egress.deadlines, [120_000, 2_000, 3_000])
})

test('registry: in load-test mode nothing reaches the egress', async () => {
  const egress = createRecorder()
  const served = create(egress, {
    upstreams: [anthropic('u1')],
    load_test_mode: { enabled: true, reply_tokens: 3, reply_seconds: 0 },
  })
  const result = await served[0]?.send(createAsk(), 'm')
  assert.ok(result?.kind === 'answered')
  assert.match(await readBody(result.answer.body), /canned|reply/)
  assert.deepEqual(egress.deadlines, [])
})

test('registry: every provider is served, in the configured order', async () => {
  const served = create(createRecorder(), {
    upstreams: [
      anthropic('first'),
      bedrock,
      { ...common, provider: 'mantle', name: 'm', region: 'r', models: ['x'], auth: {} },
      {
        ...common,
        provider: 'anthropicAws',
        name: 'a',
        region: 'r',
        workspace_id: 'w',
        auth: {},
      },
      { ...common, provider: 'vertex', name: 'v', region: 'r', project_id: 'p', auth: {} },
      { ...common, provider: 'foundry', name: 'f', resource: 'res', auth: { api_key: 'k' } },
      {
        ...common,
        provider: 'anthropicGoogleCloud',
        name: 'g',
        project_id: 'p',
        workspace_id: 'w',
        auth: {},
      },
    ],
  })
  assert.deepEqual(
    served.map(({ name, provider }) => `${name} ${provider}`),
    [
      'first anthropic',
      'aws bedrock',
      'm mantle',
      'a anthropicAws',
      'v vertex',
      'f foundry',
      'g anthropicGoogleCloud',
    ],
  )
})

test('registry: in load-test mode credentials are real, and only they', async () => {
  const asked: string[] = []
  const egress: Egress = {
    ...createRecorder(),
    fetch: (input) => {
      asked.push(input instanceof Request ? input.url : String(input))
      return Promise.resolve(Response.json({ access_token: 'at', expires_in: 60 }))
    },
  }
  const auth = {
    federation_rule_id: 'f',
    organization_id: 'o',
    identity_token_file: fileURLToPath(import.meta.url),
  }
  const served = create(egress, {
    upstreams: [{ ...anthropic('u1'), auth, provider: 'anthropic', forward_user_identity: false }],
    load_test_mode: { enabled: true, reply_tokens: 3, reply_seconds: 0 },
  })
  const result = await served[0]?.send(createAsk(), 'm')
  assert.equal(result?.kind, 'answered')
  assert.deepEqual(asked, ['http://upstream.example/v1/oauth/token'])
})

test('registry: load-test mode that is not enabled is off', async () => {
  const egress = createRecorder()
  const served = create(egress, {
    upstreams: [anthropic('u1')],
    load_test_mode: { enabled: false, reply_tokens: 3, reply_seconds: 0 },
  })
  assert.equal((await served[0]?.send(createAsk(), 'm'))?.kind, 'failed')
  assert.equal(egress.deadlines.length, 1)
})

test('registry: a cloud has ten minutes for a whole answer, unless a deadline was set', async () => {
  const egress = createRecorder()
  const auth = { aws_bearer_token: 'b' }
  const served = create(egress, {
    upstreams: [
      { ...bedrock, auth },
      { ...bedrock, auth, name: 'own', timeouts: { upstream_ttfb_ms: 2_000 } },
    ],
  })
  const streamed = createAsk({ body: '{"model":"m","stream":true}' })
  for (const upstream of served) {
    await upstream.send(createAsk(), 'm')
    await upstream.send(streamed, 'm')
  }
  assert.deepEqual(egress.deadlines, [600_000, 120_000, 2_000, 2_000])
})
