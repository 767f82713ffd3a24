/** The policy webhook in front of the real gateway's inference. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { type GatewayOptions, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
const webhook = await createFakeUpstream()
after(() => Promise.all([upstream.close(), webhook.close()]))

const judgedBy = (more: object = {}, enabled = true): GatewayOptions => ({
  postgresUrl: database.url,
  issuer: provider.issuer,
  upstream: upstream.url,
  config: {
    managed: { policies: [{ cli: { availableModels: ['sonnet'] } }] },
    cri: {
      enabled,
      audience: ['gateway'],
      org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
      policy: { webhook: { url: `${webhook.url}/judge`, ...more } },
    },
  },
})
const gateway = await startGateway({ after }, judgedBy())
const token = sessionToken(gateway.url)
const ask =
  '{"model":"claude-sonnet-4-6","max_tokens":1.0,"messages":[{"role":"user","content":"hi"}]}'
const post = (path = '/v1/messages', body = ask) =>
  send(`${gateway.url}${path}`, { token, body, headers: { 'content-type': 'application/json' } })
const decide = (decision: object): void => webhook.next({ body: JSON.stringify(decision) })

test('webhook: what it lets pass reaches the upstream as the client sent it (F392)', async () => {
  decide({ block: false })
  const reply = await post('/v1/messages?beta=true')
  assert.equal(reply.status, 200)
  const asked = await webhook.request(0)
  assert.equal(
    asked.body.toString(),
    `{"path":"/v1/messages","query":"?beta=true","headers":{"content-type":"application/json"},"body":${ask}}`,
  )
  assert.equal(asked.headers['x-principal-sub'], 'u-alice')
  assert.equal(asked.headers['x-request-id'], reply.headers['x-request-id'])
  assert.equal((await upstream.request(0)).body.toString(), ask)
})

test('webhook: what it blocks ends there, for messages and for counts (F392)', async () => {
  const seen = upstream.requests.length
  for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
    decide({ block: true, reason: 'customer data' })
    const reply = await post(path)
    assert.equal(reply.status, 400)
    assert.equal(reply.headers['x-should-retry'], 'false')
    const requestId = String(reply.headers['x-request-id'])
    assert.equal(
      reply.body,
      `{"type":"error","request_id":"${requestId}","error":{"type":"policy_blocked","message":"customer data"}}`,
    )
    const line = await gateway.audit('policy.blocked', ({ request_id: id }) => id === requestId)
    assert.deepEqual(Object.keys(line), ['ts', 'evt', 'request_id', 'sub', 'cause', 'path'])
    assert.deepEqual([line['cause'], line['path']], ['policy_hit', path])
    const call = await gateway.audit('inference', ({ request_id: id }) => id === requestId)
    assert.deepEqual([call['status'], call['outcome'], call['upstream']], [400, 'refused', null])
  }
  assert.equal(upstream.requests.length, seen)
})

test('webhook: requests that are refused anyway are not put to it', async () => {
  const seen = webhook.requests.length
  for (const body of [
    '{',
    ask.replace('sonnet-4-6', 'opus-4-6'),
    ask.replace('claude-sonnet-4-6', 'sonnet-nope'),
  ]) {
    const reply = await post('/v1/messages', body)
    assert.equal(JSON.parse(reply.body).error.type, 'invalid_request_error')
  }
  assert.equal((await send(`${gateway.url}/v1/messages`, { body: ask })).status, 401)
  assert.equal(webhook.requests.length, seen)
})

test('webhook: while it is away nothing passes (F392)', async () => {
  const seen = upstream.requests.length
  webhook.next({ status: 503 })
  const reply = await post()
  assert.equal(reply.status, 400)
  assert.match(
    reply.body,
    /"error":\{"type":"policy_blocked","message":"policy check unavailable"\}/,
  )
  await gateway.line(/warn policy check failed: webhook returned 503/)
  await gateway.audit('policy.blocked', ({ cause }) => cause === 'engine_error')
  assert.equal(upstream.requests.length, seen)
})

test('webhook: with fail_closed off requests pass while it hangs, and that is audited (F392)', async (t) => {
  const open = await startGateway(t, judgedBy({ fail_closed: false, timeout_ms: 200 }))
  webhook.next({ fault: 'stall-before-head' })
  const bearer = sessionToken(open.url)
  const reply = await send(`${open.url}/v1/messages`, { token: bearer, body: ask })
  assert.equal(reply.status, 200)
  assert.equal((await open.audit('policy.skipped'))['cause'], 'engine_error')
  assert.match(open.lines.join('\n'), /warn .*customer-routed callers are not supported/)
})

test('webhook: a block that is not enabled asks nobody, and says so', async (t) => {
  const seen = webhook.requests.length
  const inert = await startGateway(t, judgedBy({}, false))
  const bearer = sessionToken(inert.url)
  assert.equal((await send(`${inert.url}/v1/messages`, { token: bearer, body: ask })).status, 200)
  assert.equal(webhook.requests.length, seen)
  assert.match(inert.lines.join('\n'), /cri: does nothing while cri\.enabled is not true/)
})
