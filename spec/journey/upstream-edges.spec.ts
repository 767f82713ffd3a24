/**
 * What becomes of a call when its upstream is slow, overloaded, misconfigured or not the one that
 * knows the model: through the real gateway process.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { type GatewayOptions, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const first = await createFakeUpstream()
const second = await createFakeUpstream()
after(() => Promise.all([first.close(), second.close()]))

const start = (upstreams: readonly object[], more: Partial<GatewayOptions> = {}) =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      ...more,
      config: { upstreams, ...more.config },
    },
  )
const u1 = { name: 'u1', provider: 'anthropic', base_url: first.url, auth: { api_key: 'k1' } }
const u2 = {
  name: 'u2',
  provider: 'foundry',
  resource: 'res',
  base_url: second.url,
  auth: { api_key: 'k2' },
}
const request = (model: string, fields: object = {}): string =>
  JSON.stringify({ model, max_tokens: 9, messages: [], ...fields })
const post = ({ url }: { readonly url: string }, body: string) =>
  send(`${url}/v1/messages`, { token: sessionToken(url), body })

test('upstream edges: a model is sent as it is mapped, and only where it is (F154 F155)', async () => {
  const gateway = await start([u1, u2], {
    config: {
      models: [
        { id: 'team-model', upstream_model: { u2: 'deployment-7' } },
        { id: 'claude-sonnet-4-6', upstream_model: { u1: 'claude-sonnet-4-6-special' } },
      ],
    },
  })
  first.always({ status: 529, body: '{}' })
  second.always({ body: messageJson('second') })
  const seen = first.requests.length
  assert.equal((await post(gateway, request('team-model'))).body, messageJson('second'))
  assert.equal(first.requests.length, seen)
  assert.equal(JSON.parse(String(second.requests.at(-1)?.body)).model, 'deployment-7')
  assert.equal((await post(gateway, request('claude-sonnet-4-6'))).body, messageJson('second'))
  assert.equal(JSON.parse(String(first.requests.at(-1)?.body)).model, 'claude-sonnet-4-6-special')
  assert.equal(JSON.parse(String(second.requests.at(-1)?.body)).model, 'claude-sonnet-4-6')
  // With the only upstream that knows it down, nobody else is asked.
  second.always({ status: 500, body: '{}' })
  const asked = first.requests.length
  assert.equal((await post(gateway, request('team-model'))).status, 502)
  assert.equal(first.requests.length, asked)
})

test('upstream edges: credentials that cannot work are found out by a request, not by boot (F215)', async () => {
  const gateway = await start([
    {
      provider: 'vertex',
      region: 'us-east5',
      project_id: 'p',
      base_url: second.url,
      auth: { service_account_json: '/nonexistent/key.json' },
    },
  ])
  const seen = second.requests.length
  const reply = await post(gateway, request('claude-sonnet-4-6'))
  assert.equal(reply.status, 502)
  assert.match(reply.body, /"message":"all upstreams failed \(1 attempted\)"/)
  assert.doesNotMatch(reply.body, /key\.json/)
  await gateway.line(/ warn .*ENOENT.*key\.json/)
  assert.equal(second.requests.length, seen)
})

for (const [name, only, server] of [
  ['anthropic', u1, first],
  ['a cloud', u2, second],
] as const) {
  test(`upstream edges: the only upstream's overload is told as it is, by ${name} (B032)`, async () => {
    const gateway = await start([only])
    for (const status of [529, 503]) {
      const body = '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
      server.always({
        status,
        headers: ['content-type', 'application/json', 'retry-after', '7'],
        body,
      })
      const reply = await post(gateway, request('claude-sonnet-4-6'))
      assert.equal(reply.status, status)
      assert.equal(reply.headers['retry-after'], '7')
      if (only === u1) assert.equal(reply.body, body)
      else
        assert.equal(
          JSON.parse(reply.body).error.type,
          status === 529 ? 'overloaded_error' : 'api_error',
        )
      const line = await gateway.audit(
        'inference',
        (each) => each['request_id'] === reply.headers['x-request-id'],
      )
      assert.deepEqual([line['upstream'], line['status']], [only.name, status])
    }
    server.always({ status: 500, body: '{}' })
    assert.equal((await post(gateway, request('claude-sonnet-4-6'))).status, 502)
  })
}

test('upstream edges: the head is there while the body is still to come (B027)', async () => {
  const gateway = await start([u1])
  const [event = '', ...events] = messageEvents('Hello')
  // Far apart, so that a slow machine does not bring them together.
  const body = [{ waitMs: 1500 }, event, { waitMs: 1500 }, ...events]
  first.next({ headers: ['content-type', 'text/event-stream'], body })
  const { head } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: request('claude-sonnet-4-6', { stream: true }),
  })
  let ended = false
  const answer = await first.request(first.requests.length)
  void answer.closed.then(() => (ended = true))
  const reply = await head
  assert.equal(reply.statusCode, 200)
  assert.equal(ended, false, 'the upstream has not ended')
  assert.equal(await readAll(reply), [event, ...events].join(''))
})

test('upstream edges: beyond the admitted number a call is told when to come back, and the operator why (B030 F211)', async () => {
  const gateway = await start([u1], { environment: { BUN_CONFIG_MAX_HTTP_REQUESTS: '1' } })
  first.always({ fault: 'stall-before-head' })
  const from = first.requests.length
  const call = () =>
    open(`${gateway.url}/v1/messages`, {
      token: sessionToken(gateway.url),
      body: request('claude-sonnet-4-6'),
    })
  const calls = [call()]
  await first.request(from)
  // One waits for its turn: a queue as long as the bound. More are refused at once.
  calls.push(call(), call(), call())
  for (const { request: sent } of calls) sent.on('error', () => {})
  const refused = await Promise.race(calls.slice(1).map(({ head }) => head))
  assert.equal(refused.statusCode, 529)
  assert.match(String(refused.headers['retry-after']), /^\d+$/)
  assert.equal(JSON.parse(await readAll(refused)).error.type, 'overloaded_error')
  await gateway.line(/ warn .*client requests are open; BUN_CONFIG_MAX_HTTP_REQUESTS admits 1/)
  assert.equal(first.requests.length, from + 1)
  for (const { request: sent, head } of calls) {
    head.catch(() => {})
    sent.destroy()
  }
})
