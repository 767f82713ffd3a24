import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBedrock } from '../../lib/upstream/bedrock.ts'
import { foundationOf } from '../../lib/upstream/bedrock-count.ts'
import { ClientGone } from '../../lib/kernel/abort.ts'
import type { Answer, Ask, ProviderDeps } from '../../lib/upstream/upstream.ts'
import { createAsk, readBody } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'

const model = 'us.anthropic.claude-sonnet-4-6'
const path = '/v1/messages/count_tokens'

async function count(
  deps: ProviderDeps,
  base_url: string,
  ask: Ask = createAsk({ path }),
  id = model,
): Promise<Answer> {
  const upstream = createBedrock(deps, {
    provider: 'bedrock',
    name: 'u1',
    region: 'us-east-1',
    base_url,
    headers: {},
    timeouts: {},
    auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' },
  })
  const result = await upstream.send(ask, id)
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  return result.answer
}

/** The request inside CountTokens, for a client's body. */
async function innerOf(body: string, betas = ''): Promise<string> {
  let inner = ''
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"inputTokens":1}' })
    await count(deps, server.url, createAsk({ path, body, headers: { 'anthropic-beta': betas } }))
    const sent: unknown = JSON.parse((await server.request(0)).body.toString())
    const { input } = sent as { input: { invokeModel: { body: string } } } // asserted by its use
    inner = Buffer.from(input.invokeModel.body, 'base64').toString()
  })
  return inner
}

async function checkUnavailable(answer: Answer): Promise<void> {
  assert.equal(answer.status, 501)
  assert.ok(answer.headers.some(([name, value]) => name === 'x-should-retry' && value === 'false'))
  const message = 'count_tokens is not available on this Bedrock upstream'
  const error = { type: 'error', request_id: 'req-1', error: { type: 'not_supported', message } }
  assert.equal(await readBody(answer.body), JSON.stringify(error))
}

test('count: the answer is in the words of the Messages API (F146)', async () => {
  await withCloud(async ({ server, deps }) => {
    server.always({ body: '{"inputTokens":42}' })
    const answer = await count(deps, server.url)
    assert.equal(answer.status, 200)
    assert.equal(await readBody(answer.body), '{"input_tokens":42}')
    assert.equal((await server.request(0)).url, '/model/anthropic.claude-sonnet-4-6/count-tokens')
  })
})

test('count: version and limit stand first, the rest as the client spelled it', async () => {
  assert.equal(
    await innerOf(
      '{"model":"m","n":1.0, "messages" : ["\\u00e9"],"max_tokens":10.0,"stream":true}',
    ),
    '{"anthropic_version":"bedrock-2023-05-31","max_tokens":10.0,"n":1.0,"messages":["\\u00e9"],"stream":true}',
  )
})

test('count: without a limit it is one, and above what is set aside for thinking', async () => {
  const start = '{"anthropic_version":"bedrock-2023-05-31","max_tokens":'
  assert.equal(await innerOf('{"model":"m"}'), `${start}1}`)
  const thinking = '"thinking":{"type":"enabled","budget_tokens":5000}'
  assert.equal(await innerOf(`{"model":"m",${thinking}}`), `${start}5001,${thinking}}`)
  for (const odd of ['{"budget_tokens":"x"}', '{"budget_tokens":-3}', 'null', '7', '[]']) {
    assert.equal(await innerOf(`{"thinking":${odd},"model":"m"}`), `${start}1,"thinking":${odd}}`)
  }
})

test("count: a version of the client's is kept, tags and an empty list of tools are not", async () => {
  assert.equal(
    await innerOf(
      '{"anthropic_version":"v","tools":[ ],"tags":{"a":1},"model":"m","max_tokens":1}',
    ),
    '{"anthropic_version":"v","max_tokens":1}',
  )
  assert.match(
    await innerOf('{"model":"m","tools":[{"name":"t"}]}'),
    /,"tools":\[\{"name":"t"\}\]\}$/,
  )
})

test('count: only betas that CountTokens knows are sent, out of the header alone', async () => {
  assert.match(
    await innerOf(
      '{"model":"m","anthropic_beta":["zz-1"]}',
      'claude-code-20250219,context-1m-2025-08-07,oauth-2025-04-20,claude-code-20250219',
    ),
    /,"anthropic_beta":\["claude-code-20250219","oauth-2025-04-20"\]\}$/,
  )
  assert.doesNotMatch(await innerOf('{"model":"m","anthropic_beta":["zz-1"]}'), /anthropic_beta/)
})

test('count: a foundation model is known by its id, and by the ARNs that name it', () => {
  const arn = 'arn:aws:bedrock:us-east-1:111111111111:'
  const cases = {
    'anthropic.claude-x-v1:0': 'anthropic.claude-x-v1:0',
    'us.anthropic.claude-x': 'anthropic.claude-x',
    'eu.anthropic.claude-x': 'anthropic.claude-x',
    'apac.anthropic.claude-x': 'anthropic.claude-x',
    'global.anthropic.claude-x': 'anthropic.claude-x',
    'us-gov.anthropic.claude-x': 'anthropic.claude-x',
    [`${arn}inference-profile/us.anthropic.claude-x`]: 'anthropic.claude-x',
    'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x': 'anthropic.claude-x',
    [`${arn}application-inference-profile/abc123`]: null,
    [`${arn}provisioned-model/xyz`]: null,
    'arn:aws:sagemaker:us-east-1:1:endpoint/x': null,
  }
  for (const [id, foundation] of Object.entries(cases))
    assert.equal(foundationOf(id), foundation, id)
})

test('count: for a profile nobody can look into Bedrock is not asked (F146)', async () => {
  await withCloud(async ({ server, deps }) => {
    const arn = 'arn:aws:bedrock:us-east-1:1:application-inference-profile/abc'
    await checkUnavailable(await count(deps, server.url, createAsk({ path }), arn))
    assert.equal(server.connections, 0)
  })
})

test('count: every refusal, and an answer without a count, is one: not available (F146)', async () => {
  await withCloud(async ({ server, deps, recorder }) => {
    for (const status of [400, 401, 403, 404, 429, 500, 501, 503]) {
      server.next({ status, body: '{"message":"secret acct 1"}' })
      await checkUnavailable(await count(deps, server.url))
    }
    for (const body of ['{}', '{"inputTokens":"4"}', '[1]', 'no json']) {
      server.next({ body })
      await checkUnavailable(await count(deps, server.url))
    }
    assert.match(recorder.lines.join('\n'), /bedrock upstream 429 .*secret acct 1/)
  })
})

test('count: no connection is not available either; a client that left is just that', async () => {
  await withCloud(async ({ server, deps }) => {
    server.next({ fault: 'reset-before-head' })
    const answer = await count(deps, server.url)
    await checkUnavailable(answer)
    assert.match(answer.reason, /^501 ECONNRESET/)
    const gone = createAsk({ path, signal: AbortSignal.abort(new ClientGone()) })
    await assert.rejects(count(deps, server.url, gone), /client-gone/)
  })
})
