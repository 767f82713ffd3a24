/** `/v1/messages` through the real gateway process: what reaches the upstream, the client, the audit. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { type ErrorCode, errorTable } from '../../lib/kernel/errors.ts'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { listen } from '../support/listen.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const ask = (fields: object = {}): string =>
  JSON.stringify({
    model: 'claude-sonnet-4-6',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'hi' }],
    ...fields,
  })

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: {
      limits: {
        max_request_bytes: 4_000_000,
        max_request_header_bytes: 8000,
        max_url_length: 2000,
      },
      managed: {
        policies: [
          { match: { groups: ['restricted'] }, cli: { availableModels: ['haiku'] } },
          { cli: {} },
        ],
      },
    },
  },
)
const token = sessionToken(gateway.url)
const post = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
  send(`${gateway.url}/v1/messages`, { token, body, headers })
const auditOf = (requestId: unknown) =>
  gateway.audit('inference', (line) => line['request_id'] === requestId)

test('inference: a streamed answer arrives byte for byte, metered and audited (F206 F208 B033)', async () => {
  const events = messageEvents('Hello wörld', 20)
  upstream.next({
    headers: ['content-type', 'text/event-stream', 'request-id', 'req_up_1'],
    body: events,
  })
  const reply = await post(ask({ stream: true }))
  assert.equal(reply.status, 200)
  assert.equal(reply.body, events.join(''))
  assert.match(String(reply.headers['x-request-id']), uuid)
  assert.equal(reply.headers['request-id'], reply.headers['x-request-id'])
  const line = await auditOf(reply.headers['x-request-id'])
  assert.equal(line['outcome'], 'complete')
  assert.equal(line['upstream'], 'anthropic')
  assert.equal(line['upstream_request_id'], 'req_up_1')
  assert.equal(line['sub'], 'u-alice')
  assert.equal(line['status'], 200)
  assert.ok(Number(line['input_tokens']) > 0)
  assert.ok(Number(line['output_tokens']) > 0)
  assert.equal(line['cents'], 1.05)
})

test('inference: the upstream sees its own credential and never the developer’s (F177 F180)', async () => {
  const seen = upstream.requests.length
  await post(ask(), {
    'x-api-key': 'sk-developer',
    cookie: 'a=b',
    'user-agent': 'claude-cli/2.1.330 (external, cli)',
    'anthropic-beta': 'claude-code-20250219',
    'x-app': 'cli',
    'x-claude-gateway-user-id': 'forged',
  })
  const received = await upstream.request(seen)
  assert.equal(received.headers['x-api-key'], 'sk-upstream-1')
  assert.equal(
    received.headers['user-agent'],
    'claude-cli/2.1.330 (external, cli) cc-gateway/2.1.330',
  )
  assert.equal(received.headers['anthropic-beta'], 'claude-code-20250219')
  for (const name of [
    'authorization',
    'cookie',
    'x-app',
    'x-claude-gateway-user-id',
    'x-request-id',
  ]) {
    assert.equal(received.headers[name], undefined, name)
  }
  assert.ok(!received.rawHeaders.join('\n').includes(token))
})

test('inference: the body reaches the upstream as it was sent, white space, numbers and escapes included (B025)', async () => {
  const body =
    '{ "messages":[{"role":"user","content":"\\u00e9\\/"}],\n "temperature":1.0,"big":12345678901234567890,"model":"claude-sonnet-4-6" , "x":1e3}'
  const seen = upstream.requests.length
  await post(body)
  assert.equal((await upstream.request(seen)).body.toString(), body)
})

test('inference: another spelling of a model is spliced, every other byte stays', async () => {
  const seen = upstream.requests.length
  await post('{"temperature":1.0,"model":"us.anthropic.claude-sonnet-4-6","n":1e3}')
  assert.equal(
    (await upstream.request(seen)).body.toString(),
    '{"temperature":1.0,"model":"claude-sonnet-4-6","n":1e3}',
  )
})

test('inference: a message that is not streamed is metered from its usage', async () => {
  upstream.next({ body: messageJson('Hello') })
  const reply = await post(ask())
  assert.equal(JSON.parse(reply.body).content[0].text, 'Hello')
  const line = await auditOf(reply.headers['x-request-id'])
  assert.equal(line['output_tokens'], JSON.parse(messageJson('Hello')).usage.output_tokens)
  assert.equal(line['cents'], 1.05)
})

test('inference: compressed answers reach the client as plain bytes (F389)', async () => {
  for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
    upstream.next({ body: messageJson(`packed by ${encoding}`), encoding })
    const reply = await post(ask())
    assert.equal(JSON.parse(reply.body).content[0].text, `packed by ${encoding}`)
    assert.equal(reply.headers['content-encoding'], undefined)
  }
})

test('inference: an id the client chose is honoured when it is well formed', async () => {
  const chosen = await post(ask(), { 'x-client-request-id': 'my-id_1.2' })
  assert.equal(chosen.headers['x-request-id'], 'my-id_1.2')
  const refused = await post(ask(), { 'x-client-request-id': 'no spaces' })
  assert.match(String(refused.headers['x-request-id']), uuid)
})

test('inference: count_tokens is relayed with its query and not metered (F144 F145)', async () => {
  upstream.next({ body: '{"input_tokens":7}' })
  const seen = upstream.requests.length
  const reply = await send(`${gateway.url}/v1/messages/count_tokens?beta=true`, {
    token,
    body: ask(),
  })
  assert.equal(reply.body, '{"input_tokens":7}')
  assert.equal((await upstream.request(seen)).url, '/v1/messages/count_tokens?beta=true')
  const line = await auditOf(reply.headers['x-request-id'])
  assert.equal('output_tokens' in line, false)
  assert.equal('cents' in line, false)
})

for (const name of [
  '10-messages-print',
  '11-messages-interactive-auto-mode',
  '12-messages-quota-probe',
  '13-messages-model-probe',
  '20-count-tokens-messages',
  '21-count-tokens-tools',
  '61-messages-hint-headers',
  '62-messages-count-fallback',
  '70-messages-spend-cap',
]) {
  test(`inference: the real client’s request reaches the upstream byte for byte (${name}) (F144 F393)`, async () => {
    const file = new URL(`../fixtures/client/${name}.json`, import.meta.url)
    const sample = JSON.parse(readFileSync(file, 'utf8'))
    const headers: Record<string, string> = Object.fromEntries(
      sample.request.headers.filter(
        ([header]: [string]) => !/^(authorization|content-length|host|connection)$/i.test(header),
      ),
    )
    const events = messageEvents('hi', 2)
    const streams = sample.request.body.stream === true
    upstream.next(
      streams
        ? { headers: ['content-type', 'text/event-stream'], body: events }
        : { body: messageJson('hi') },
    )
    const seen = upstream.requests.length
    const body = JSON.stringify(sample.request.body)
    const reply = await send(`${gateway.url}${sample.request.path}`, { token, headers, body })
    assert.equal(reply.status, 200)
    assert.equal(reply.body, streams ? events.join('') : messageJson('hi'))
    const received = await upstream.request(seen)
    assert.equal(received.url, sample.request.path)
    assert.equal(received.body.toString(), body)
    const sent = new Map(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value]))
    assert.equal(received.headers['anthropic-beta'], sent.get('anthropic-beta'))
    assert.equal(received.headers['anthropic-version'], sent.get('anthropic-version'))
  })
}

test('inference: refusals have the documented texts and are audited (F149 F150 F377 B024)', async () => {
  const cases: [string, ErrorCode, string][] = [
    ['', 'inference/invalid-json', 'invalid JSON'],
    ['{"model":', 'inference/invalid-json', 'invalid JSON'],
    ['\uFEFF{}', 'inference/invalid-json', 'invalid JSON'],
    ['{"model":"claude-9\u0007é"}', 'inference/invalid-json', 'invalid JSON'],
    ['[]', 'inference/not-an-object', 'request body must be a JSON object'],
    ['null', 'inference/not-an-object', 'request body must be a JSON object'],
    ['{}', 'inference/model-required', 'model is required'],
    ['{"model":""}', 'inference/model-required', 'model is required'],
    ['{"model":null}', 'inference/model-not-a-string', 'model must be a string'],
    ['{"model":5}', 'inference/model-not-a-string', 'model must be a string'],
    [
      '{"model":"claude-9\\u0007é"}',
      'inference/model-unknown',
      "model claude-9 is not in the operator's model allowlist",
    ],
    ['{"model":"a","mod\\u0065l":"b"}', 'inference/duplicate-key', 'duplicate key: model'],
  ]
  const seen = upstream.requests.length
  for (const [body, code, message] of cases) {
    const reply = await post(body)
    const id = String(reply.headers['x-request-id'])
    assert.equal(
      reply.body,
      `{"type":"error","request_id":"${id}","error":{"type":"invalid_request_error","message":"${message}"}}`,
      body,
    )
    assert.equal(reply.status, errorTable[code].status)
    const line = await auditOf(id)
    assert.equal(line['outcome'], 'refused')
    assert.equal(line['upstream'], null)
  }
  assert.equal(upstream.requests.length, seen)
})

test('inference: a role reaches the models of its policy only (F151)', async () => {
  const restricted = sessionToken(gateway.url, { sub: 'u-bob', groups: ['restricted'] })
  const denied = await send(`${gateway.url}/v1/messages`, { token: restricted, body: ask() })
  assert.equal(denied.status, errorTable['inference/model-denied'].status)
  assert.equal(
    JSON.parse(denied.body).error.message,
    "model claude-sonnet-4-6 is not in your role's availableModels allowlist",
  )
  const allowed = await send(`${gateway.url}/v1/messages`, {
    token: restricted,
    body: ask({ model: 'claude-haiku-4-5' }),
  })
  assert.equal(allowed.status, 200)
  const list = await send(`${gateway.url}/v1/models`, { token: restricted })
  const ids = JSON.parse(list.body).data.map(({ id }: { id: string }) => id)
  assert.ok(ids.length > 0 && ids.every((id: string) => id.includes('haiku')), ids.join())
})

test('inference: 411, 413, 414 and 431 come before the session is looked at', async () => {
  const chunked = await send(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'transfer-encoding': 'chunked' },
  })
  assert.deepEqual([chunked.status, chunked.body], [411, 'length required'])
  const { head, request } = open(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-length': '4000001' },
  })
  request.on('error', () => {})
  const large = await head
  assert.deepEqual([large.statusCode, await readAll(large)], [413, 'payload too large'])
  const long = await send(`${gateway.url}/v1/messages?${'x'.repeat(2000)}`, { body: '' })
  assert.deepEqual([long.status, long.body], [414, 'uri too long'])
  const heavy = await send(`${gateway.url}/v1/messages`, {
    body: '',
    headers: { 'x-heavy': 'x'.repeat(8000) },
  })
  assert.deepEqual([heavy.status, heavy.body], [431, 'request header fields too large'])
})

test('inference: a client that leaves before the head aborts the upstream and is audited as 499 (F391)', async () => {
  upstream.next({ fault: 'stall-before-head' })
  const seen = upstream.requests.length
  const { request, head } = open(`${gateway.url}/v1/messages`, { token, body: ask() })
  head.catch(() => {}) // the abort below
  const received = await upstream.request(seen)
  request.destroy()
  assert.equal(await received.closed, 'cut')
  const line = await gateway.audit('inference', ({ status }) => status === 499)
  assert.equal(line['outcome'], 'client_abort')
  assert.equal(line['upstream'], null)
})

test('inference: a client that leaves mid-stream aborts the upstream and is still metered', async () => {
  const events = messageEvents('x'.repeat(600), 4)
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [...events.slice(0, 4), { ending: 'stall' }],
  })
  const seen = upstream.requests.length
  const { request, head } = open(`${gateway.url}/v1/messages`, {
    token,
    body: ask({ stream: true }),
  })
  const response = await head
  await once(response, 'data')
  response.on('error', () => {}) // the abort below
  request.destroy()
  assert.equal(await (await upstream.request(seen)).closed, 'cut')
  const line = await auditOf(response.headers['x-request-id'])
  assert.equal(line['outcome'], 'client_abort')
  assert.equal(line['status'], 200)
  assert.equal(line['estimated'], true)
  assert.ok(Number(line['output_tokens']) > 0)
})

test('inference: an upstream that resets before its head is a 502 (F163)', async () => {
  upstream.next({ fault: 'reset-before-head' })
  const reply = await post(ask())
  assert.equal(reply.status, 502)
  assert.equal(
    reply.body,
    `{"type":"error","request_id":"${String(reply.headers['x-request-id'])}","error":{"type":"api_error","message":"all upstreams failed (1 attempted)"}}`,
  )
  const line = await auditOf(reply.headers['x-request-id'])
  assert.deepEqual([line['upstream'], line['status']], [null, 502])
})

test('inference: a stream that is cut ends with an error event that clients understand (B026)', async () => {
  const events = messageEvents('Hello', 3)
  const half = events[3] ?? ''
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [...events.slice(0, 3), half.slice(0, 30), { waitMs: 100 }, { ending: 'reset' }],
  })
  const reply = await post(ask({ stream: true }))
  const id = String(reply.headers['x-request-id'])
  assert.equal(reply.status, 200)
  assert.equal(
    reply.body,
    `${events.slice(0, 3).join('')}${half.slice(0, 30)}\n\nevent: error\ndata: {"type":"error","request_id":"${id}","error":{"type":"api_error","message":"upstream error"}}\n\n`,
  )
  assert.equal((await auditOf(id))['outcome'], 'upstream_cut')
})

test('inference: a cut body that is no event stream never looks whole', async () => {
  upstream.next({
    headers: ['content-type', 'application/json', 'content-length', '1000'],
    body: ['{"type":"message",', { waitMs: 100 }, { ending: 'reset' }],
  })
  const { head } = open(`${gateway.url}/v1/messages`, { token, body: ask() })
  const response = await head
  await assert.rejects(readAll(response))
  assert.equal((await auditOf(response.headers['x-request-id']))['outcome'], 'upstream_cut')
})

test('inference: a stream that ends without its last event is relayed and audited as incomplete', async () => {
  const events = messageEvents('Hello', 3).slice(0, -1)
  upstream.next({ headers: ['content-type', 'text/event-stream'], body: events })
  const reply = await post(ask({ stream: true }))
  assert.equal(reply.body, events.join(''))
  assert.equal((await auditOf(reply.headers['x-request-id']))['outcome'], 'upstream_incomplete')
})

test('inference: a reader that stops pauses the upstream instead of filling memory', async () => {
  const size = 64 * 1024 * 1024
  upstream.next({ headers: ['content-type', 'text/event-stream'], body: [{ flood: size }] })
  const seen = upstream.requests.length
  const { head } = open(`${gateway.url}/v1/messages`, { token, body: ask({ stream: true }) })
  const response = await head
  response.pause()
  const received = await upstream.request(seen)
  const rest = await Promise.race([
    received.closed,
    new Promise((resolve) => setTimeout(resolve, 1500, 'still waiting')),
  ])
  assert.equal(rest, 'still waiting')
  const status = readFileSync(`/proc/${gateway.pid}/status`, 'utf8')
  const rssMb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  assert.ok(rssMb < 300, `${rssMb} MB with one stalled reader`)
  let bytes = 0
  for await (const chunk of response) bytes += chunk.length
  assert.equal(bytes, size)
})

test('inference: an upstream that answers before it has read the prompt still gets all of it', async () => {
  const events = messageEvents('Hello', 3)
  const [first = '', ...rest] = events
  const received: Buffer[] = []
  const early = createServer((incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(first)
    // By now the gateway has streamed the answer on, and needs the prompt no more.
    setTimeout(() => {
      incoming.on('data', (chunk: Buffer) => received.push(chunk))
      incoming.on('end', () => response.end(rest.join('')))
    }, 300)
  })
  const port = await listen(early)
  const own = await startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: `http://127.0.0.1:${port}`,
    },
  )
  const bodies = Array.from({ length: 4 }, () => {
    const prompt = randomBytes(6_000_000).toString('base64')
    return ask({ stream: true, messages: [{ role: 'user', content: prompt }] })
  })
  // One after the other, so that memory freed too early would hold the next one's prompt.
  for (const body of bodies) {
    received.length = 0
    const reply = await send(`${own.url}/v1/messages`, { token: sessionToken(own.url), body })
    assert.equal(reply.body, events.join(''))
    assert.ok(Buffer.concat(received).equals(Buffer.from(body)))
  }
  early.close()
  early.closeAllConnections()
})

test('inference: a thousand streams are open at the upstream at once, and all arrive (F210 B030)', async () => {
  const events = messageEvents('Hello', 3)
  const [first = '', ...rest] = events
  let release = (): void => {}
  const everyone = new Promise<void>((resolve) => (release = resolve))
  const gate = createServer((_incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(first)
    if (++arrived === 1000) release()
    void everyone.then(() => response.end(rest.join('')))
  })
  let arrived = 0
  const port = await listen(gate)
  const many = await startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: `http://127.0.0.1:${port}`,
    },
  )
  const own = sessionToken(many.url)
  const replies = await Promise.all(
    Array.from({ length: 1000 }, () =>
      send(`${many.url}/v1/messages`, { token: own, body: ask({ stream: true }) }),
    ),
  )
  gate.close()
  gate.closeAllConnections()
  assert.equal(arrived, 1000)
  for (const reply of replies) assert.equal(reply.body, events.join(''))
})

test('inference: large bodies go through whole', async () => {
  const body = ask({ padding: randomBytes(1_400_000).toString('base64') })
  const seen = upstream.requests.length
  const reply = await post(body)
  assert.equal(reply.status, 200)
  assert.ok((await upstream.request(seen)).body.equals(Buffer.from(body)))
})

test('inference: no prompt, completion or credential is in the log', () => {
  const log = gateway.lines.join('\n')
  for (const secret of ['sk-upstream-1', 'Hello', 'packed by', token, '0123456789abcdef0123']) {
    assert.ok(!log.includes(secret), secret.slice(0, 20))
  }
})
