/** Clouds through the real gateway process: signed in, streamed, refused, failed over, audited. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { type ClientReply, open, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import {
  createFakeUpstream,
  messageEvents,
  messageJson,
  type RecordedRequest,
} from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const [metadata, vertex, foundry, anthropic] = await Promise.all([
  createFakeUpstream(),
  createFakeUpstream(),
  createFakeUpstream(),
  createFakeUpstream(),
])
after(() => Promise.all([metadata, vertex, foundry, anthropic].map((server) => server.close())))

const folder = mkdtempSync(join(tmpdir(), 'clouds-spec-'))
const tokenFile = join(folder, 'identity-token')
writeFileSync(tokenFile, 'platform-token\n')
after(() => rmSync(folder, { recursive: true }))

metadata.always(() => ({
  headers: ['metadata-flavor', 'Google', 'content-type', 'application/json'],
  body: '{"access_token":"ya29.meta","expires_in":3599,"token_type":"Bearer"}',
}))
beforeEach(() => {
  for (const server of [vertex, foundry]) server.always({ body: messageJson('whole') })
  anthropic.always(({ url }) => ({
    body: url.endsWith('/token') ? '{"access_token":"wif","expires_in":3600}' : messageJson('wif'),
  }))
})

const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    environment: {
      GCE_METADATA_HOST: metadata.url.replace('http://', ''),
      METADATA_SERVER_DETECTION: 'assume-present',
      HOME: '/nonexistent',
    },
    config: {
      upstreams: [
        {
          provider: 'vertex',
          region: 'us-east5',
          project_id: 'proj-lab',
          base_url: `${vertex.url}/v1`,
          headers: { 'x-own': 'vertex' },
          auth: {},
        },
        { provider: 'foundry', resource: 'res', base_url: foundry.url, auth: { api_key: 'fnd' } },
        {
          provider: 'anthropic',
          base_url: anthropic.url,
          groups: ['federated'],
          headers: { 'x-own': 'federated' },
          auth: {
            federation_rule_id: 'fdrl_1',
            organization_id: 'org-1',
            identity_token_file: tokenFile,
          },
        },
      ],
    },
  },
)

const token = sessionToken(gateway.url)
const ask = (fields: object = {}): string =>
  JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 9, messages: [], ...fields })
const post = (body: string, headers: Record<string, string> = {}): Promise<ClientReply> =>
  send(`${gateway.url}/v1/messages?beta=true`, { token, body, headers })
const auditOf = (reply: ClientReply): Promise<Record<string, unknown>> =>
  gateway.audit('inference', (line) => line['request_id'] === reply.headers['x-request-id'])

test('clouds: a whole message from Vertex, signed in at the metadata server once', async () => {
  for (let i = 0; i < 3; i++) {
    const reply = await post(ask())
    assert.equal(reply.status, 200)
    assert.equal(reply.body, messageJson('whole'))
    assert.equal(reply.headers['content-type'], 'application/json;charset=utf-8')
  }
  const request = vertex.requests.at(-1)
  assert.equal(
    request?.url,
    '/v1/projects/proj-lab/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-6:rawPredict',
  )
  assert.equal(request.headers.authorization, 'Bearer ya29.meta')
  const tokenCalls = metadata.requests.filter(({ url }) => url.includes('/token'))
  assert.equal(tokenCalls.length, 1)
})

test('clouds: a stream from Vertex is metered and audited', async () => {
  const events = messageEvents('Hello wörld', 20)
  const headers = ['content-type', 'text/event-stream', 'request-id', 'req_up', 'server', 'ESF']
  vertex.next({ body: events, headers: [...headers, 'x-amzn-requestid', 'amz-1'] })
  const reply = await post(ask({ stream: true }))
  assert.equal(reply.status, 200)
  assert.equal(reply.body, events.filter((event) => !event.startsWith('event: ping')).join(''))
  assert.equal(reply.headers['content-type'], 'text/event-stream')
  assert.equal(reply.headers['cache-control'], 'no-cache')
  assert.equal(reply.headers['server'], undefined)
  assert.equal(reply.headers['request-id'], reply.headers['x-request-id'])
  const line = await auditOf(reply)
  assert.equal(line['upstream'], 'vertex')
  assert.equal(line['upstream_request_id'], 'req_up')
  assert.equal(line['upstream_cloud_request_id'], 'amz-1')
  assert.equal(line['outcome'], 'complete')
  assert.ok(Number(line['output_tokens']) > 0)
})

test('clouds: a refusal tells the client what to leave out, and the operator everything (F176)', async () => {
  const told = 'Unexpected value(s) `b-2` for the `anthropic-beta` header in project 123'
  vertex.next({ status: 400, body: JSON.stringify([{ error: { code: 400, message: told } }]) })
  const reply = await post(ask(), { 'anthropic-beta': 'b-1,b-2' })
  assert.equal(reply.status, 400)
  assert.equal(
    reply.body,
    `{"type":"error","request_id":"${String(reply.headers['x-request-id'])}","error":{"type":"invalid_request_error","message":"capability_rejected: beta_header:b-2"}}`,
  )
  assert.match(
    await gateway.line(/vertex upstream 400/),
    /warn vertex upstream 400 request_id=[^:]+: vertex: 400 .*in project 123/,
  )
})

test('clouds: the next cloud is asked when one is overloaded, broken or cuts its answer', async () => {
  for (const behaviour of [
    { status: 529, body: '{}' },
    { status: 403, body: '{}' },
    { fault: 'reset-before-head' },
    { body: ['{"id":', { ending: 'reset' }] },
    { body: '<html>sign in</html>' },
  ] as const) {
    vertex.next(behaviour)
    const reply = await post(ask())
    assert.equal(reply.status, 200, JSON.stringify(behaviour))
    assert.equal((await auditOf(reply))['upstream'], 'foundry')
  }
  const request = foundry.requests.at(-1)
  assert.equal(request?.url, '/v1/messages')
  assert.equal(request.headers['x-api-key'], 'fnd')
})

test('clouds: when all refuse, the kept refusal is in general words', async () => {
  vertex.next({ status: 429, body: '{"message":"quota of 123"}', headers: ['retry-after', '7'] })
  foundry.next({ status: 401, body: '{"message":"key of 123"}' })
  const reply = await post(ask())
  assert.equal(reply.status, 429)
  assert.match(reply.body, /"rate_limit_error","message":"upstream rate limit exceeded"/)
  assert.equal(reply.headers['retry-after'], undefined)
  assert.equal((await auditOf(reply))['upstream'], 'vertex')

  vertex.next({ status: 500, body: 'x' })
  foundry.next({ status: 503, body: 'x' })
  const failed = await post(ask())
  assert.equal(failed.status, 502)
  assert.match(failed.body, /"api_error","message":"all upstreams failed \(3 attempted\)"/)
})

test('clouds: a stream that breaks ends with an error event that names nobody (F390)', async () => {
  const [first = ''] = messageEvents('x')
  const error = 'event: error\ndata: {"type":"error","error":{"message":"project 123"}}\n\n'
  for (const body of [
    [first, error],
    [first, 'event: content_block_delta\ndata: {"ty', { ending: 'reset' }],
  ] as const) {
    vertex.next({ body })
    const reply = await post(ask({ stream: true }))
    assert.equal(reply.status, 200)
    assert.equal(
      reply.body,
      `${first}event: error\ndata: {"type":"error","request_id":"${String(reply.headers['x-request-id'])}","error":{"type":"api_error","message":"upstream error"}}\n\n`,
    )
    assert.equal((await auditOf(reply))['outcome'], 'upstream_cut')
  }
})

test('clouds: a client that leaves closes the provider’s stream', async () => {
  const [first = ''] = messageEvents('x')
  vertex.next({ body: [first, { ending: 'stall' }] })
  const seen = vertex.requests.length
  const body = ask({ stream: true })
  const { request, head } = open(`${gateway.url}/v1/messages`, { token, body })
  const response = await head
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['content-type'], 'text/event-stream')
  response.on('error', () => {})
  request.on('error', () => {})
  request.destroy()
  assert.equal(await (await vertex.request(seen)).closed, 'cut')
})

test('clouds: tokens are counted where the message would go', async () => {
  vertex.next({ body: '{"input_tokens":42}' })
  const url = `${gateway.url}/v1/messages/count_tokens`
  const reply = await send(url, { token, body: ask() })
  assert.equal(reply.body, '{"input_tokens":42}')
  assert.match(vertex.requests.at(-1)?.url ?? '', /models\/count-tokens:rawPredict$/)
})

test('clouds: behind them a federated upstream exchanges its token and relays', async () => {
  vertex.next({ status: 500, body: '' })
  foundry.next({ status: 500, body: '' })
  const own = sessionToken(gateway.url, { groups: ['federated'] })
  const reply = await send(`${gateway.url}/v1/messages`, { token: own, body: ask() })
  assert.equal(reply.body, messageJson('wif'))
  const [exchange, message] = anthropic.requests
  assert.equal(exchange?.url, '/v1/oauth/token')
  assert.equal(JSON.parse(exchange.body.toString()).assertion, 'platform-token')
  assert.equal(message?.headers.authorization, 'Bearer wif')
})

test('clouds: headers of the configuration go with messages and counts, not with requests for tokens (F199)', async () => {
  vertex.always({ status: 500, body: '' })
  foundry.always({ status: 500, body: '' })
  const own = sessionToken(gateway.url, { groups: ['federated'] })
  for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
    const reply = await send(`${gateway.url}${path}`, { token: own, body: ask() })
    assert.equal(reply.status, 200)
  }
  const sent = (requests: readonly RecordedRequest[]): string[] =>
    requests.map(({ url, headers }) => `${url} ${String(headers['x-own'] ?? '-')}`)
  assert.deepEqual(sent(anthropic.requests.filter(({ url }) => url.endsWith('/token'))), [
    '/v1/oauth/token -',
  ])
  assert.deepEqual(sent(anthropic.requests.slice(-2)), [
    '/v1/messages federated',
    '/v1/messages/count_tokens federated',
  ])
  const [message = '', count = ''] = sent(vertex.requests.slice(-2))
  assert.match(message, /:rawPredict vertex$/)
  assert.match(count, /count-tokens:rawPredict vertex$/)
  assert.ok(metadata.requests.length > 0)
  assert.ok(sent(metadata.requests).every((line) => line.endsWith(' -')))
})
