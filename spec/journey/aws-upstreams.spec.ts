/** `/v1/messages` through the real gateway process to providers behind AWS, one behind the other. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { open, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { chunkFrame, exceptionFrame, messageFrames } from '../support/event-frames.ts'
import { createFakeUpstream, messageEvents } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { verifySignature } from '../support/sigv4.ts'

const ask = (fields: object = {}): string =>
  JSON.stringify({
    model: 'claude-sonnet-4-6',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'hi' }],
    ...fields,
  })
const auth = { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' }
const frames = ['content-type', 'application/vnd.amazon.eventstream', 'x-amzn-requestid', 'amz-1']

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const bedrock = await createFakeUpstream()
const platform = await createFakeUpstream()
after(() => Promise.all([bedrock.close(), platform.close()]))
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    config: {
      upstreams: [
        { provider: 'bedrock', region: 'us-east-1', base_url: bedrock.url, auth },
        {
          provider: 'anthropicAws',
          region: 'us-east-1',
          workspace_id: 'wrkspc_1',
          base_url: platform.url,
          auth,
        },
      ],
    },
  },
)
const token = sessionToken(gateway.url)
const post = (body: string, path = '/v1/messages') => send(`${gateway.url}${path}`, { token, body })
const auditOf = (requestId: unknown) =>
  gateway.audit('inference', (line) => line['request_id'] === requestId)
const errorEvent = (requestId: unknown): string =>
  `event: error\ndata: {"type":"error","request_id":"${String(requestId)}","error":{"type":"api_error","message":"upstream error"}}\n\n`
const start = { type: 'message_start', message: { id: 'm', usage: { input_tokens: 7 } } }

test('aws: a stream of Bedrock arrives as the events clients know, metered and audited', async () => {
  const seen = bedrock.requests.length
  bedrock.next({ headers: frames, body: messageFrames('Hello wörld') })
  const reply = await post(ask({ stream: true }))
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['content-type'], 'text/event-stream')
  assert.match(reply.body, /^event: message_start\n.*"text":"Hello wörld".*message_stop"\}\n\n$/s)
  const line = await auditOf(reply.headers['x-request-id'])
  assert.equal(line['upstream'], 'bedrock')
  assert.equal(line['upstream_cloud_request_id'], 'amz-1')
  assert.equal(line['outcome'], 'complete')
  assert.equal(line['input_tokens'], 10)
  assert.equal(line['output_tokens'], 5)
  const request = await bedrock.request(seen)
  assert.match(
    request.url,
    /^\/model\/us\.anthropic\.claude-sonnet-4-6\/invoke-with-response-stream$/,
  )
  assert.equal(verifySignature(request, 'the-secret').matches, true)
})

test('aws: a stream that breaks ends with the error event, and nobody else is asked', async () => {
  const asked = platform.requests.length
  const exception = exceptionFrame('throttlingException', '{"message":"acct 123456789012"}')
  bedrock.next({ headers: frames, body: [chunkFrame(start), exception] })
  const later = await post(ask({ stream: true }))
  assert.equal(later.status, 200)
  assert.equal(
    later.body,
    `event: message_start\ndata: ${JSON.stringify(start)}\n\n${errorEvent(later.headers['x-request-id'])}`,
  )
  assert.equal((await auditOf(later.headers['x-request-id']))['outcome'], 'upstream_cut')
  bedrock.next({ headers: frames, body: [exception] })
  const first = await post(ask({ stream: true }))
  assert.equal(first.body, errorEvent(first.headers['x-request-id']))
  await gateway.line(/upstream stream error .*: bedrock: .*acct 123456789012/)
  assert.equal(platform.requests.length, asked)
})

test("aws: what Bedrock refuses or cuts before a stream is the next one's to answer", async () => {
  platform.always({ body: messageEvents('aws') })
  bedrock.next({ status: 503, body: '{"message":"busy"}' })
  const refused = await post(ask({ stream: true }))
  assert.match(refused.body, /"text":"w"/)
  assert.equal((await auditOf(refused.headers['x-request-id']))['upstream'], 'anthropicAws')
  platform.always({
    body: '{"type":"message","content":[],"n":1.0,"usage":{"input_tokens":1,"output_tokens":1}}',
  })
  bedrock.next({
    headers: ['content-type', 'application/json'],
    body: ['{"type":"mess', { ending: 'reset' }],
  })
  const cut = await post(ask())
  assert.equal(
    cut.body,
    '{"type":"message","content":[],"n":1.0,"usage":{"input_tokens":1,"output_tokens":1}}',
  )
})

test("aws: counting that Bedrock cannot do is the next one's, or not available", async () => {
  const path = '/v1/messages/count_tokens'
  bedrock.next({ status: 400, body: '{"message":"no such model"}' })
  platform.next({ body: '{"input_tokens":42}' })
  assert.equal((await post(ask(), path)).body, '{"input_tokens":42}')
  bedrock.next({ status: 400, body: '{"message":"no such model"}' })
  platform.next({ status: 500, body: '{}' })
  const reply = await post(ask(), path)
  assert.equal(reply.status, 501)
  assert.equal(reply.headers['x-should-retry'], 'false')
  assert.match(reply.body, /"count_tokens is not available on this Bedrock upstream"/)
})

test('aws: a client that leaves mid-stream closes the stream of Bedrock', async () => {
  const seen = bedrock.requests.length
  bedrock.next({ headers: frames, body: [chunkFrame(start), { ending: 'stall' }] })
  const client = open(`${gateway.url}/v1/messages`, { token, body: ask({ stream: true }) })
  const { closed } = await bedrock.request(seen)
  await client.head
  client.request.destroy()
  assert.equal(await closed, 'cut')
})
