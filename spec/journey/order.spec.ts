/**
 * The order in which an inference request is checked, through the real gateway: each request has
 * all faults at once but those that were checked before, so each answer shows which comes first.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type ClientReply, open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

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
      admin: {},
      limits: { max_request_bytes: 2000 },
      managed: { policies: [{ cli: { availableModels: ['haiku', 'listed-nowhere'] } }] },
    },
  },
)
await database.query(
  `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
   VALUES ('spl_1', 'user', 'u-poor', 0, 'monthly')`,
)
const path = `${gateway.url}/v1/messages`
const poor = sessionToken(gateway.url, { sub: 'u-poor' })
const rich = sessionToken(gateway.url, { sub: 'u-rich' })

const told = (reply: ClientReply): string => `${reply.status} ${messageOf(reply.body)}`

/** Of an envelope, or a plain text whole. */
function messageOf(body: string): string {
  return body.startsWith('{') ? JSON.parse(body).error.message : body
}

async function tooLarge(token: string): Promise<string> {
  const { head, request } = open(path, {
    method: 'POST',
    token,
    headers: { 'content-length': '2001' },
  })
  request.on('error', () => {})
  const reply = await head
  return `${reply.statusCode} ${await readAll(reply)}`
}

test('order: length, session, spend, JSON, model, role, catalogue (F376)', async () => {
  const noJson = '{"model":"nobodys-model"'
  const post = async (token: string, body: string) => told(await send(path, { token, body }))
  const chunked = { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, token: 'no' }
  assert.equal(told(await send(path, chunked)), '411 length required')
  assert.equal(await tooLarge('no'), '413 payload too large')
  assert.match(await post('no', noJson), /^401 /)
  assert.match(await post(poor, noJson), /^429 spend limit reached/)
  assert.equal(await post(rich, noJson), '400 invalid JSON')
  assert.equal(await post(rich, '[]'), '400 request body must be a JSON object')
  assert.equal(await post(rich, '{}'), '400 model is required')
  assert.equal(
    await post(rich, '{"model":"nobodys-model"}'),
    "400 model nobodys-model is not in your role's availableModels allowlist",
  )
  assert.equal(
    await post(rich, '{"model":"listed-nowhere"}'),
    "400 model listed-nowhere is not in the operator's model allowlist",
  )
  assert.equal(upstream.requests.length, 0)
  const fine = '{"model":"claude-haiku-4-5","messages":[]}'
  assert.equal((await send(path, { token: rich, body: fine })).status, 200)
  assert.equal(upstream.requests.length, 1)
})

test('order: tokens are counted for somebody who may spend nothing more (F376)', async () => {
  const reply = await send(`${path}/count_tokens`, {
    token: poor,
    body: '{"model":"claude-haiku-4-5","messages":[]}',
  })
  assert.equal(reply.status, 200)
})
