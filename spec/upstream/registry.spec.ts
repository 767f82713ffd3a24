import assert from 'node:assert/strict'
import { test } from 'node:test'
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
    { egress, clock: systemClock, log },
    { upstreams: [], timeouts, ...config },
  )
}

test('registry: upstreams keep their order, and what has no code yet is named', () => {
  const { served, unserved } = create(createRecorder(), {
    upstreams: [anthropic('first'), bedrock, anthropic('second')],
  })
  assert.deepEqual(
    served.map(({ name, provider }) => `${name} ${provider}`),
    ['first anthropic', 'second anthropic'],
  )
  assert.deepEqual(unserved, [{ name: 'aws', what: 'provider bedrock' }])
})

test('registry: the deadline of the head is the most particular one configured', async () => {
  const egress = createRecorder()
  const { served } = create(egress, {
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
  const { served } = create(egress, {
    upstreams: [anthropic('u1')],
    load_test_mode: { enabled: true, reply_tokens: 3, reply_seconds: 0 },
  })
  const result = await served[0]?.send(createAsk(), 'm')
  assert.ok(result?.kind === 'answered')
  assert.match(await readBody(result.answer.body), /canned|reply/)
  assert.deepEqual(egress.deadlines, [])
})

test('registry: load-test mode that is not enabled is off', async () => {
  const egress = createRecorder()
  const { served } = create(egress, {
    upstreams: [anthropic('u1')],
    load_test_mode: { enabled: false, reply_tokens: 3, reply_seconds: 0 },
  })
  assert.equal((await served[0]?.send(createAsk(), 'm'))?.kind, 'failed')
  assert.equal(egress.deadlines.length, 1)
})
