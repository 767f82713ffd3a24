import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { Egress, EgressRequest } from '../../lib/egress/egress.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { openDatabase } from '../../lib/store/database.ts'
import {
  createDiscardingEgress,
  createLoadTestUpstream,
  hasRecordedSpend,
  loadTestCaller,
} from '../../lib/upstream/load-test.ts'
import type { Answer, Ask, Upstream } from '../../lib/upstream/upstream.ts'
import { alice, createAnthropicAt, createAsk, readBody, shortBody } from '../support/ask.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'

const canned = { reply_tokens: 12, reply_seconds: 0 }

async function send(ask: Ask, upstream: Upstream): Promise<Answer> {
  const result = await upstream.send(ask, ask.model)
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  return result.answer
}

test('load test: the request is built and signed by its provider, and nobody is asked (F212)', async () => {
  const server = await createFakeUpstream()
  const built: EgressRequest[] = []
  const discarding = createDiscardingEgress()
  const egress: Egress = {
    ...discarding,
    request: (request) => {
      built.push(request)
      return discarding.request(request)
    },
  }
  const { upstream } = createAnthropicAt(server.url, { name: 'claude', egress })
  const loaded = createLoadTestUpstream(upstream, systemClock, canned)
  assert.equal(loaded.name, 'claude')
  assert.equal(loaded.provider, 'anthropic')
  const body = shortBody.replace('{', '{"stream":true,')
  const answer = await send(createAsk({ body }), loaded)
  assert.equal(answer.upstream, 'claude')
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.headers, [['content-type', 'text/event-stream; charset=utf-8']])
  const text = await readBody(answer.body)
  assert.match(text, /"id":"msg_load_req-1"/)
  assert.match(text, /event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/)
  assert.equal(built.length, 1)
  assert.ok(built[0]?.headers.includes('sk-up-1'))
  assert.equal(Buffer.from(built[0]?.body ?? '').toString(), body)
  assert.equal(server.connections, 0)
  await loaded.close()
  await server.close()
})

test('load test: unstreamed messages and token counts come at once as JSON', async () => {
  const egress = createDiscardingEgress()
  const { upstream } = createAnthropicAt('http://upstream.example', { egress })
  const slow = createLoadTestUpstream(upstream, systemClock, { ...canned, reply_seconds: 600 })
  const message = await send(createAsk(), slow)
  assert.deepEqual(message.headers, [['content-type', 'application/json']])
  assert.match(await readBody(message.body), /"output_tokens":12\}\}$/)
  const count = await send(createAsk({ path: '/v1/messages/count_tokens' }), slow)
  assert.equal(await readBody(count.body), `{"input_tokens":${Math.round(shortBody.length / 4)}}`)
})

test('load test: a request its provider cannot build fails as it would for real', async () => {
  const broken: Upstream = {
    name: 'u1',
    provider: 'test',
    send: () => Promise.resolve({ kind: 'failed', reason: 'no credentials' }),
    close: () => Promise.resolve(),
  }
  const result = await createLoadTestUpstream(broken, systemClock, canned).send(createAsk(), 'm')
  assert.deepEqual(result, { kind: 'failed', reason: 'no credentials' })
})

test('load test: a client that left gets nothing', async () => {
  const egress: Egress = {
    ...createDiscardingEgress(),
    request: ({ signal }) => Promise.reject(signal?.reason ?? new Error('not aborted')),
  }
  const { upstream } = createAnthropicAt('http://upstream.example', { egress })
  const ask = createAsk({ signal: AbortSignal.abort(new ClientGone()) })
  const result = await createLoadTestUpstream(upstream, systemClock, canned).send(ask, 'm')
  assert.deepEqual(result, { kind: 'client-gone' })
})

test('load test: each number is a developer of its own with the same email and groups (F213)', () => {
  const table: [header: string | undefined, sub: string][] = [
    ['1', 'u-alice#load-1'],
    ['0000042', 'u-alice#load-42'],
    ['9999999', 'u-alice#load-9999999'],
    ['12345678', 'u-alice'],
    ['', 'u-alice'],
    ['-1', 'u-alice'],
    ['1, 2', 'u-alice'],
    ['٣', 'u-alice'],
    [undefined, 'u-alice'],
  ]
  for (const [header, sub] of table) {
    const caller = loadTestCaller(alice, header)
    assert.deepEqual(caller, { ...alice, sub }, header)
  }
})

test('load test: recorded spend is found in either table', async (t) => {
  const real = await createDatabase({ after: (action) => t.after(action) })
  const { log } = createLog('error', () => {}, systemClock)
  const database = openDatabase(
    {
      postgres_url: real.url,
      max_connections: 2,
      connect_timeout_seconds: 5,
      readiness_grace_seconds: 0,
    },
    { clock: systemClock, log },
  )
  try {
    await database.start(new AbortController().signal)
    assert.equal(await hasRecordedSpend(database.store), false)
    await real.query("INSERT INTO spend (principal, period, cents) VALUES ('u', '2026-11', 1)")
    assert.equal(await hasRecordedSpend(database.store), true)
    await real.query('DELETE FROM spend')
    await real.query(
      "INSERT INTO pooled_spend (rbac_group_id, period, cents) VALUES ('g', '2026-11', 1)",
    )
    assert.equal(await hasRecordedSpend(database.store), true)
  } finally {
    await database.close()
  }
})
