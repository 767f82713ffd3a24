import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createBedrock } from '../../lib/upstream/bedrock.ts'
import type { ProviderConfig } from '../../lib/upstream/config.ts'
import type { Answer, Ask, ProviderDeps, Upstream } from '../../lib/upstream/upstream.ts'
import { checkProvider } from '../contract/upstream.ts'
import { createAsk, readBody, shortBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { chunkFrame, exceptionFrame, messageFrames } from '../support/event-frames.ts'
import type { Step } from '../support/fake-upstream.ts'
import { createFakeSts, ownKeys, refusal } from '../support/fake-sts.ts'
import { verifySignature } from '../support/sigv4.ts'

const config: ProviderConfig<'bedrock'> = {
  provider: 'bedrock',
  name: 'u1',
  region: 'us-east-1',
  headers: { 'x-own': 'yes' },
  timeouts: {},
  auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' },
}
const model = 'us.anthropic.claude-sonnet-4-6'
const eventStream = ['content-type', 'application/vnd.amazon.eventstream']
const streamed = shortBody.replace('{', '{"stream":true,')

checkProvider({
  provider: 'bedrock',
  create: (deps, base_url) => createBedrock(deps, { ...config, base_url }),
  model,
  target: `/model/${model}/invoke-with-response-stream`,
  body: (sent) =>
    sent
      .replace(/^\{ "model" :"[^"]*",\n"stream":true, /, '{ ')
      .replace(/\}$/, ',"anthropic_version":"bedrock-2023-05-31"}'),
  forwards: (name) => name === 'x-stainless-lang',
  answer: { headers: eventStream, body: messageFrames('Hello') },
  relaysErrors: false,
})

function create(deps: ProviderDeps, url: string, changes: Partial<typeof config> = {}): Upstream {
  return createBedrock(deps, { ...config, base_url: url, ...changes })
}

async function answerOf(upstream: Upstream, ask: Ask, id = model): Promise<Answer> {
  const result = await upstream.send(ask, id)
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  return result.answer
}

interface Captured {
  readonly models: readonly { model: string; path: string; url: string; body: string }[]
  readonly requests: readonly {
    readonly name: string
    readonly path: string
    readonly headers: Readonly<Record<string, string | string[]>>
    readonly body?: string
    readonly upstream: { readonly url: string; readonly body: string }
  }[]
}

const captured = JSON.parse(
  readFileSync(new URL('../fixtures/upstream/bedrock-requests.json', import.meta.url), 'utf8'),
) as Captured // a fixture

test('bedrock: every captured model goes to its captured address, rightly signed (F184 F200)', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"inputTokens":42,"type":"message"}' })
    const session = { ...config.auth, aws_session_token: 'sess-tok-1' }
    const upstream = create(deps, server.url, { auth: session })
    for (const [index, { model: id, path, url, body }] of captured.models.entries()) {
      await answerOf(upstream, createAsk({ path }), id)
      const request = await server.request(index)
      assert.equal(request.url, url)
      assert.equal(request.body.toString(), body)
      const found = verifySignature(request, 'the-secret')
      assert.equal(found.matches, true, url)
      assert.equal(found.service, 'bedrock')
      assert.ok(found.signedHeaders.includes('x-amz-security-token'))
      assert.ok(found.signedHeaders.includes('x-own'))
    }
  })
})

test('bedrock: captured requests are rewritten as captured (F182)', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"inputTokens":42,"type":"message"}' })
    const upstream = create(deps, server.url)
    for (const [
      index,
      { name, path, headers, body, upstream: sent },
    ] of captured.requests.entries()) {
      const joined = Object.entries(headers).map(([key, value]) => [
        key.toLowerCase(),
        Array.isArray(value) ? value.join(', ') : value,
      ])
      const ask = createAsk({
        path,
        headers: Object.fromEntries(joined),
        ...(body !== undefined && { body }),
      })
      await answerOf(upstream, ask)
      const request = await server.request(index)
      assert.equal(request.url, sent.url, name)
      assert.equal(request.body.toString(), sent.body, name)
      assert.equal(request.headers['anthropic-beta'], undefined, name)
      assert.equal(request.headers['anthropic-version'], '2023-06-01', name)
      assert.equal(verifySignature(request, 'the-secret').matches, true, name)
    }
  })
})

test('bedrock: a bearer token is sent as such, and nothing is signed (F184)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = create(deps, server.url, { auth: { aws_bearer_token: 'bearer-1' } })
    server.always({ body: '{"type":"message"}' })
    await answerOf(upstream, createAsk())
    const { headers } = await server.request(0)
    assert.equal(headers.authorization, 'Bearer bearer-1')
    assert.equal(headers['x-amz-date'], undefined)
  })
})

test('bedrock: without base_url the region has its own address; with one its path is kept (F185)', async () => {
  await withCloud(
    async ({ deps, sent }) => {
      const { base_url: _, ...plain } = { ...config, base_url: undefined }
      await createBedrock(deps, { ...plain, region: 'eu-west-1' }).send(createAsk(), model)
      await create(deps, 'https://vpce.example/prefix/').send(createAsk(), model)
      assert.deepEqual(sent(), [
        `https://bedrock-runtime.eu-west-1.amazonaws.com/model/${model}/invoke`,
        `https://vpce.example/prefix/model/${model}/invoke`,
      ])
    },
    { offline: true },
  )
})

test("bedrock: a whole answer is the client's as it came, with the ids for the audit", async () => {
  await withCloud(async ({ server, deps }) => {
    const body = '{"id":"msg_1","n":1.0, "content":[]}'
    const headers = ['content-type', 'application/json', 'x-amzn-requestid', 'amz-1', 'server', 's']
    server.always({ body, headers })
    const answer = await answerOf(create(deps, server.url), createAsk())
    assert.equal(await readBody(answer.body), body)
    assert.deepEqual(answer.headers, [['Content-Type', 'application/json;charset=utf-8']])
    assert.equal(answer.upstreamCloudRequestId, 'amz-1')
  })
})

async function stream(steps: readonly Step[], headers = eventStream): Promise<string> {
  let text = ''
  await withCloud(async ({ server, deps }) => {
    server.always({ headers, body: steps })
    const answer = await answerOf(create(deps, server.url), createAsk({ body: streamed }))
    assert.deepEqual(answer.headers, [
      ['Content-Type', 'text/event-stream'],
      ['Cache-Control', 'no-cache'],
    ])
    assert.ok(answer.body instanceof ReadableStream)
    try {
      for await (const part of answer.body) text += Buffer.from(part).toString()
    } catch (error) {
      text += `FAILED ${String(error)}`
    }
  })
  return text
}

test('bedrock: each frame of a stream is one event, as soon as it is there (F186)', async () => {
  const frames = messageFrames('Hello wörld')
  const text = await stream(frames.flatMap((each) => [each, { waitMs: 5 }]))
  assert.equal(text.match(/^event: /gm)?.length, 6)
  assert.match(text, /"text":"Hello wörld"/)
  assert.match(text, /event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/)
})

test('bedrock: an exception ends the stream behind what was sent, without its text', async () => {
  const exception = exceptionFrame('throttlingException', '{"message":"slow down acct 1"}')
  const start = chunkFrame({ type: 'message_start', message: {} })
  assert.equal(
    await stream([start, exception]),
    'event: message_start\ndata: {"type":"message_start","message":{}}\n\n' +
      'FAILED UpstreamBroke: {"type":"error","error":{"type":"throttlingException","message":"slow down acct 1"}}',
  )
})

test('bedrock: a stream that is cut inside a frame, or by a reset, is broken', async () => {
  const start = chunkFrame({ type: 'message_start', message: {} })
  assert.match(await stream([start, start.subarray(0, 20)]), /FAILED .*Truncated event message/)
  assert.match(await stream([start, { ending: 'reset' }]), /FAILED UpstreamBroke: ECONNRESET/)
})

test('bedrock: an empty stream, or a document instead of one, has no events', async () => {
  assert.equal(await stream([]), '')
  assert.equal(await stream(['{"type":"message"}'], ['content-type', 'application/json']), '')
})

test('bedrock: an unknown model is named by what the client called it (F381)', async () => {
  await withCloud(async ({ server, deps }) => {
    const body = '{"message":"The provided model identifier is invalid."}'
    server.always({ status: 400, body, headers: ['content-type', 'application/json'] })
    const answer = await answerOf(create(deps, server.url), createAsk())
    assert.match(
      await readBody(answer.body),
      /"message":"model claude-sonnet-4-6 is not available on bedrock"/,
    )
  })
})

const guardrail = { id: 'gr-1', version: '7' }

test('bedrock: the guardrail is named in every request, and signed (F191)', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"type":"message"}' })
    await answerOf(create(deps, server.url, { guardrail }), createAsk())
    const request = await server.request(0)
    assert.equal(request.headers['x-amzn-bedrock-guardrailidentifier'], 'gr-1')
    assert.equal(request.headers['x-amzn-bedrock-guardrailversion'], '7')
    const found = verifySignature(request, 'the-secret')
    assert.ok(found.signedHeaders.includes('x-amzn-bedrock-guardrailidentifier'))
    assert.equal(found.matches, true)
  })
})

test('bedrock: beside a guardrail a body that speaks to Bedrock itself is refused unsent (F192)', async () => {
  await withCloud(async ({ server, deps }) => {
    const upstream = create(deps, server.url, { guardrail })
    for (const key of ['amazon-bedrock-guardrailConfig', 'amazon\\u002dbedrock-trace']) {
      const body = shortBody.replace('{', `{"${key}":{},`)
      const answer = await answerOf(upstream, createAsk({ body }))
      assert.equal(answer.status, 400)
      const name = key.replace('\\u002d', '-')
      const message = `request body field '${name}' is not allowed while a guardrail is configured`
      assert.equal(
        await readBody(answer.body),
        JSON.stringify({
          type: 'error',
          request_id: 'req-1',
          error: { type: 'invalid_request_error', message },
        }),
      )
    }
    assert.equal(server.connections, 0)
  })
})

test("bedrock: without a guardrail such a field is the provider's to judge", async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"type":"message"}' })
    const body = shortBody.replace('{', '{"amazon-bedrock-trace":{},')
    assert.equal((await answerOf(create(deps, server.url), createAsk({ body }))).status, 200)
    assert.match((await server.request(0)).body.toString(), /amazon-bedrock-trace/)
  })
})

const assume_role = { role_arn: 'arn:aws:iam::1:role/r', session_name: 'email' } as const

test("bedrock: with a role requests are signed with the developer's session (F193)", async () => {
  const sts = await createFakeSts()
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"type":"message"}' })
    const upstream = create({ ...deps, stsUrl: sts.url }, server.url, {
      auth: ownKeys,
      assume_role,
    })
    await answerOf(upstream, createAsk())
    const request = await server.request(0)
    assert.equal(request.headers['x-amz-security-token'], 'token/1==')
    const found = verifySignature(request, 'secret-1')
    assert.equal(found.accessKeyId, 'ASIA1')
    assert.equal(found.matches, true)
    assert.equal(sts.calls[0]?.get('RoleSessionName'), 'alice@example.com')
  })
  await sts.close()
})

test('bedrock: a role that cannot be assumed is a failure, and nothing reaches Bedrock (F195)', async () => {
  const sts = await createFakeSts()
  await withCloud(async ({ server, deps }) => {
    sts.next(refusal('AccessDenied'))
    const upstream = create({ ...deps, stsUrl: sts.url }, server.url, {
      auth: ownKeys,
      assume_role,
    })
    assert.deepEqual(await upstream.send(createAsk(), model), {
      kind: 'failed',
      reason: 'STS refused the role: 403 AccessDenied not authorized to assume it',
    })
    assert.equal(server.connections, 0)
  })
  await sts.close()
})
