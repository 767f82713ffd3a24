import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UpstreamBroke } from '../../lib/kernel/abort.ts'
import { createCloud, createCloudHeaders } from '../../lib/upstream/cloud.ts'
import type { Answer, ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { type CloudBench, withCloud } from '../support/cloud.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { messageEvents, messageJson } from '../support/fake-upstream.ts'

interface Changes {
  readonly deps?: Partial<ProviderDeps>
  readonly refused?: () => void
}

/** A cloud that asks its server with the client's body. */
function createTestCloud({ server, deps }: CloudBench, changes: Changes = {}): Upstream {
  return createCloud(
    { ...deps, ...changes.deps },
    {
      name: 'u1',
      provider: 'vertex',
      prepare: (ask) =>
        Promise.resolve({
          url: new URL(server.url),
          target: '/ask',
          headers: createCloudHeaders({})(ask),
          body: ask.body.bytes,
          refused: changes.refused,
        }),
    },
  )
}

async function answerOf(upstream: Upstream, ask = createAsk()): Promise<Answer> {
  const result = await upstream.send(ask, ask.model)
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  return result.answer
}

async function failureOf(upstream: Upstream, ask = createAsk()): Promise<string> {
  const result = await upstream.send(ask, ask.model)
  assert.ok(result.kind === 'failed', result.kind)
  return result.reason
}

const streamed = '{"model":"claude-sonnet-4-6","stream":true,"messages":[]}'
const json = [['Content-Type', 'application/json;charset=utf-8']]

test('cloud: a whole message keeps its bytes, and no header of the provider (F388)', async () => {
  await withCloud(async (bench) => {
    const body = '{ "id":"msg_1", "n":1.0, "big":12345678901234567890, "s":"\\u00e9" }\n'
    const headers = ['content-type', 'text/plain', 'set-cookie', 'a=b', 'x-amzn-requestid', 'amz-1']
    bench.server.always({ body, headers: [...headers, 'request-id', 'req_up', 'x-vertex', '1'] })
    const answer = await answerOf(createTestCloud(bench))
    assert.equal(await readBody(answer.body), body)
    assert.deepEqual(answer.headers, json)
    assert.equal(answer.upstreamRequestId, 'req_up')
    assert.equal(answer.upstreamCloudRequestId, 'amz-1')
  })
})

test('cloud: a stream has one framing, and nothing but the six message events (F390)', async () => {
  await withCloud(async (bench) => {
    bench.server.always({
      body: [': comment\r\nevent: ping\r\ndata: {}\r\n\r\n', ...messageEvents('Hellö', 2)],
      headers: ['content-type', 'text/event-stream', 'x-secret', 'account'],
    })
    const answer = await answerOf(createTestCloud(bench), createAsk({ body: streamed }))
    const events = messageEvents('Hellö', 2).filter((event) => !event.startsWith('event: ping'))
    assert.equal(await readBody(answer.body), events.join(''))
    assert.deepEqual(answer.headers, [
      ['Content-Type', 'text/event-stream'],
      ['Cache-Control', 'no-cache'],
    ])
  })
})

test('cloud: compressed answers come plain, whole, streamed and refused (F389)', async () => {
  await withCloud(async (bench) => {
    const upstream = createTestCloud(bench)
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
      bench.server.next(
        { body: messageJson('x'), encoding },
        { body: messageEvents('x').join(''), encoding },
        { status: 400, body: '{"message":"prompt is too long"}', encoding },
      )
      assert.equal(await readBody((await answerOf(upstream)).body), messageJson('x'))
      const stream = await answerOf(upstream, createAsk({ body: streamed }))
      assert.match(await readBody(stream.body), /message_stop/)
      const refusal = await readBody((await answerOf(upstream)).body)
      assert.match(refusal, /capability_rejected: prompt_too_long/)
    }
  })
})

test('cloud: what is counted is never streamed, whatever the body says', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ body: '{"input_tokens":42}' })
    const ask = createAsk({ path: '/v1/messages/count_tokens', body: streamed })
    const answer = await answerOf(createTestCloud(bench), ask)
    assert.equal(await readBody(answer.body), '{"input_tokens":42}')
    assert.deepEqual(answer.headers, json)
  })
})

test('cloud: the operator reads all of a refusal, the client what it may know (F176)', async () => {
  await withCloud(async (bench) => {
    const body = `{"message":"account 123 ${'x'.repeat(3_000)}"}`
    const headers = ['retry-after', '7', 'request-id', 'req_up']
    bench.server.always({ status: 403, body, headers })
    const answer = await answerOf(createTestCloud(bench))
    assert.equal(answer.status, 403)
    assert.equal(answer.reason, '403 Forbidden')
    assert.equal(answer.upstreamRequestId, 'req_up')
    assert.deepEqual(answer.headers, json)
    assert.equal(
      await readBody(answer.body),
      '{"type":"error","request_id":"req-1","error":{"type":"permission_error","message":"upstream denied the request — check the gateway operator"}}',
    )
    assert.deepEqual(bench.recorder.lines, [
      `warn vertex upstream 403 request_id=req-1: u1: 403 ${body}`,
    ])
  })
})

test('cloud: a refusal of a stream is no stream', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ status: 400, body: '{"message":"`b-2` anthropic-beta"}' })
    const headers = { 'anthropic-beta': 'b-1, b-2' }
    const answer = await answerOf(createTestCloud(bench), createAsk({ body: streamed, headers }))
    assert.match(await readBody(answer.body), /"capability_rejected: beta_header:b-2"/)
    assert.deepEqual(answer.headers, json)
  })
})

test('cloud: only an overload tells the client when to come back', async () => {
  await withCloud(async (bench) => {
    const upstream = createTestCloud(bench)
    for (const status of [503, 529, 429, 500]) {
      bench.server.always({ status, body: '{}', headers: ['retry-after', '7'] })
      const { headers } = await answerOf(upstream)
      const expected = status === 503 || status === 529 ? [...json, ['retry-after', '7']] : json
      assert.deepEqual(headers, expected, String(status))
    }
  })
})

test('cloud: only a status of 401 doubts the credential', async () => {
  await withCloud(async (bench) => {
    let refused = 0
    const upstream = createTestCloud(bench, { refused: () => void refused++ })
    for (const status of [200, 400, 403, 429, 500]) {
      bench.server.always({ status, body: '{}' })
      await answerOf(upstream)
    }
    assert.equal(refused, 0)
    bench.server.always({ status: 401, body: '{}' })
    await answerOf(upstream)
    assert.equal(refused, 1)
  })
})

test('cloud: a page in place of a message is a failure', async () => {
  await withCloud(async (bench) => {
    for (const body of ['<html>sign in</html>', '', '"text"', '[]']) {
      bench.server.always({ body, headers: ['content-type', 'application/json'] })
      assert.equal(await failureOf(createTestCloud(bench)), 'the answer is no JSON object', body)
    }
  })
})

test('cloud: a whole message that is cut is a failure, so another upstream is asked', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ body: ['{"id":"msg_1",', { ending: 'reset' }] })
    await failureOf(createTestCloud(bench))
    assert.equal(bench.recorder.lines.length, 0)
  })
})

test('cloud: a whole message that drips past its deadline is a failure', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ body: ['{"id":', { ending: 'stall' }] })
    const upstream = createTestCloud(bench, { deps: { whole_ttfb_ms: 200 } })
    assert.equal(await failureOf(upstream), 'the whole answer timed out after 200 ms')
    assert.equal(await (await bench.server.request(0)).closed, 'cut')
  })
})

test('cloud: a refusal that does not end is a failure', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ status: 400, body: ['{"message":', { ending: 'stall' }] })
    const clock = createFakeClock()
    const failed = failureOf(createTestCloud(bench, { deps: { clock } }))
    await bench.server.request(0)
    // The head arrives in real time; until its deadline is set, moved time is not seen.
    const moving = setInterval(() => void clock.advance(1_000), 5)
    assert.equal(await failed, 'the refusal timed out after 10000 ms')
    clearInterval(moving)
  })
})

test('cloud: a refusal larger than any is cut, and its connection given up', async () => {
  await withCloud(async (bench) => {
    bench.server.always({ status: 500, body: [{ flood: 8 * 1024 * 1024 }] })
    await answerOf(createTestCloud(bench))
    assert.equal(await (await bench.server.request(0)).closed, 'cut')
    const [line = ''] = bench.recorder.lines
    assert.ok(line.length > 60_000 && line.length < 70_000, String(line.length))
  })
})

test('cloud: a stream that is cut delivers what came, then breaks', async () => {
  await withCloud(async (bench) => {
    const [first = ''] = messageEvents('Hello')
    bench.server.always({ body: [first, 'event: content_bl', { ending: 'reset' }] })
    const answer = await answerOf(createTestCloud(bench), createAsk({ body: streamed }))
    assert.ok(answer.body instanceof ReadableStream)
    const reader = answer.body.getReader()
    const { value } = await reader.read()
    assert.equal(Buffer.from(value ?? []).toString(), first)
    await assert.rejects(reader.read(), UpstreamBroke)
  })
})

test("cloud: an error inside a stream breaks it, and the provider's words stay here", async () => {
  await withCloud(async (bench) => {
    const [first = ''] = messageEvents('Hello')
    const error = 'event: error\ndata: {"error":{"message":"account 123"}}\n\n'
    bench.server.always({ body: [first, error] })
    const answer = await answerOf(createTestCloud(bench), createAsk({ body: streamed }))
    await assert.rejects(readBody(answer.body), UpstreamBroke)
  })
})

test('cloud: a client that leaves while the credential is fetched is not asked for', async () => {
  await withCloud(async ({ deps, server }) => {
    const controller = new AbortController()
    const upstream = createCloud(deps, {
      name: 'u1',
      provider: 'vertex',
      prepare: (ask) => {
        controller.abort()
        const headers = createCloudHeaders({})(ask)
        return Promise.resolve({ url: new URL(server.url), headers })
      },
    })
    const result = await upstream.send(createAsk({ signal: controller.signal }), 'm')
    assert.deepEqual(result, { kind: 'client-gone' })
    assert.equal(server.connections, 0)
  })
})

test("cloud: the operator's headers replace the fixed ones and those of the client", () => {
  const headersFor = createCloudHeaders({ Accept: 'text/x', 'X-Stainless-Lang': 'op', 'x-a': '1' })
  const headers = { accept: 'b', 'x-stainless-lang': 'js', 'x-stainless-os': 'L', cookie: 'c' }
  const flat = headersFor(createAsk({ headers }))
  const pairs = Array.from({ length: flat.length / 2 }, (_, i) => flat.slice(2 * i, 2 * i + 2))
  const sent = Object.fromEntries(pairs) as Record<string, string>
  assert.equal(pairs.length, Object.keys(sent).length)
  assert.match(sent['user-agent'] ?? '', /^cc-gateway\/2/)
  delete sent['user-agent']
  assert.deepEqual(sent, {
    'accept-encoding': 'gzip, deflate, br, zstd',
    'content-type': 'application/json',
    'anthropic-version': '2023-06-01',
    Accept: 'text/x',
    'X-Stainless-Lang': 'op',
    'x-a': '1',
    'x-stainless-os': 'L',
  })
})
