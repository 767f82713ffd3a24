/** The Admin API through the real process: an administrator's day, and the documentation's calls. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { readKey, writeKey } from '../support/admin.ts'
import { type ClientReply, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageCosting } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const config = {
  admin: {
    write_keys: [{ id: 'terraform', key: writeKey }],
    read_keys: [{ id: 'dashboard', key: readKey }],
    admin_groups: ['admins'],
    blocked_message: 'ask finops',
  },
}
const start = (extra: object = config): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: upstream.url,
      config: { ...extra },
    },
  )
const gateway = await start()
const other = await start()

const limits = '/v1/organizations/spend_limits'
const admin = { 'x-api-key': writeKey }

function answerCosting(cents: number): void {
  upstream.always({ body: messageCosting(cents) })
}

function message(at: GatewayProcess, claims: object): Promise<ClientReply> {
  const body = JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 10, messages: [] })
  return send(`${at.url}/v1/messages`, { token: sessionToken(at.url, { ...claims }), body })
}

async function setLimit(at: GatewayProcess, body: object) {
  const reply = await send(`${at.url}${limits}`, { headers: admin, body: JSON.stringify(body) })
  assert.equal(reply.status, 200, reply.body)
  return JSON.parse(reply.body)
}

async function read(path: string) {
  const reply = await send(`${gateway.url}${path}`, { headers: { 'x-api-key': readKey } })
  assert.equal(reply.status, 200, reply.body)
  return JSON.parse(reply.body)
}

/** Spend is written within moments, on a busy machine within seconds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail('it never came true')
}

test('admin: an administrator caps somebody, raises the cap, and sees who spent what', async () => {
  answerCosting(5)
  const alice = { sub: 'u-alice', groups: ['eng'] }
  const scope = { type: 'user', user_id: 'u-alice' }
  const created = await setLimit(gateway, { scope, amount: '5', period: 'daily' })
  assert.equal((await message(gateway, alice)).status, 200)
  const blocked = await message(gateway, alice)
  assert.equal(blocked.status, 429)
  assert.match(blocked.body, /spend limit reached · resets .* · ask finops/)
  // The replica that takes the change acts on it at once, the other one within moments.
  const raised = await setLimit(gateway, { scope, amount: '1000', period: 'daily' })
  assert.equal(raised.id, created.id)
  assert.equal((await message(gateway, alice)).status, 200)
  await until(async () => (await message(other, alice)).status === 200)
  const standing = async () =>
    (await read(`${limits}/effective?user_ids[]=u-alice&period[]=daily`)).data[0]
  // Who somebody is, is written with what they spend.
  await until(async () => (await standing()).period_to_date_spend === '15')
  const row = await standing()
  assert.deepEqual(
    [row.amount, row.groups, row.actor.email_address],
    ['1000', ['eng'], 'alice@example.com'],
  )
  const today = new Date().toISOString().slice(0, 10)
  const cost = await read(
    `/v1/organizations/analytics/cost?starting_at=${today}T00:00:00Z&group_by[]=rbac_group_id`,
  )
  assert.deepEqual(
    cost.data.map((row: { group: { rbac_group_id: string }; cost: { amount: string } }) => [
      row.group.rbac_group_id,
      row.cost.amount,
    ]),
    [['eng', '15.000000']],
  )
  const audit = await gateway.audit('admin.limit.upsert', (line) => line['before_amount'] === '5')
  assert.equal(audit['actor'], 'admin-key:terraform')
  const gone = await send(`${gateway.url}${limits}/${created.id}`, {
    method: 'DELETE',
    headers: admin,
  })
  assert.equal(gone.body, `{"type":"spend_limit_deleted","id":"${created.id}"}`)
  await gateway.line(/info admin DELETE \/v1\/organizations\/spend_limits\/spl_\w+ -> 200 \(req_/)
})

test('admin: a budget of a group is shared by its members on every replica', async () => {
  answerCosting(30)
  const body = {
    scope: { type: 'rbac_group', rbac_group_id: 'pool' },
    amount: '10000',
    pooled_budget: { amount: '60' },
  }
  await setLimit(gateway, body)
  const call = (at: GatewayProcess, sub: string) => message(at, { sub, groups: ['pool'] })
  assert.equal((await call(gateway, 'm-1')).status, 200)
  await until(
    async () =>
      (await read(`${limits}?scope_type=rbac_group`)).data[0].pooled_budget.period_to_date_spend ===
      '30',
  )
  assert.equal((await call(other, 'm-2')).status, 200)
  await until(async () => (await call(gateway, 'm-3')).status === 429)
  assert.match((await call(gateway, 'm-3')).body, /exceeds your group's budget/)
  await setLimit(gateway, { ...body, pooled_budget: { paused: true } })
  assert.equal((await call(gateway, 'm-3')).status, 200)
})

test('admin: a session opens the API with an admin group only, also one that is a bare text (F264 F408)', async () => {
  const ask = (claims: object) =>
    send(`${gateway.url}${limits}`, { token: sessionToken(gateway.url, { ...claims }) })
  assert.equal((await ask({ groups: ['eng', 'admins'] })).status, 200)
  assert.equal((await ask({ groups: 'admins' })).status, 200)
  const refused = await ask({ groups: ['eng'] })
  assert.equal(refused.status, 401)
  assert.match(
    refused.body,
    /^{"type":"error","error":{"type":"authentication_error","message":"missing or invalid admin credentials"},"request_id":"req_/,
  )
  const denied = await gateway.audit('admin.denied')
  assert.deepEqual(
    [denied['reason'], denied['method'], denied['path'], denied['client_ip']],
    ['bearer_rejected', 'GET', limits, '127.0.0.1'],
  )
  assert.equal(gateway.audits('auth.denied').length, 0)
  assert.ok(!gateway.lines.some((line) => line.includes(writeKey)), 'and no key is ever written')
})

test('admin: a call has its own id beside that of the request', async () => {
  const reply = await send(`${gateway.url}${limits}`, { headers: admin })
  assert.match(String(reply.headers['request-id']), /^req_[0-9a-f]{32}$/)
  assert.match(String(reply.headers['x-request-id']), /^[0-9a-f-]{36}$/)
  assert.equal(reply.headers['cache-control'], 'no-store')
  const large = await send(`${gateway.url}${limits}`, { headers: admin, body: 'x'.repeat(70_000) })
  assert.equal(large.status, 413)
  assert.match(large.body, /"message":"payload too large"},"request_id":"req_/)
  const below = await send(`${gateway.url}/v1/organizations/analytics/cost/x`, { headers: admin })
  assert.equal(below.status, 401)
  assert.match(below.body, /"invalid token"/)
})

test('admin: without the block its paths are unknown like any other (F410)', async () => {
  const bare = await start({})
  for (const path of [limits, `${limits}/effective`, '/v1/organizations/analytics/cost']) {
    const known = await send(`${bare.url}${path}`, {
      token: sessionToken(bare.url, { groups: ['admins'] }),
    })
    assert.deepEqual([known.status, known.body], [404, 'not found'])
    const unknown = await send(`${bare.url}${path}`, { headers: admin })
    assert.equal(unknown.status, 401)
    assert.match(unknown.body, /"message":"invalid token"/)
  }
})

interface Example {
  readonly command: string
  readonly answer: object
}

function examples(): Example[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/admin-api.md'), 'utf8')
  const pattern = /```sh\n([^]*?)```\n\n```json\n([^]*?)```/g
  return [...page.matchAll(pattern)].map(([, command = '', answer = '']) => ({
    command,
    answer: JSON.parse(answer),
  }))
}

/** The keys of an example are in the answer, in the same order. */
function assertShape(answer: unknown, example: unknown, where: string): void {
  if (typeof example !== 'object' || example === null) return
  assert.ok(typeof answer === 'object' && answer !== null, where)
  const keys = Object.keys(answer).filter((key) => key in example)
  assert.deepEqual(keys, Object.keys(example), where)
  const values = new Map(Object.entries(answer))
  for (const [key, value] of Object.entries(example)) {
    if (values.get(key) !== null) assertShape(values.get(key), value, `${where}.${key}`)
  }
}

test('admin: every call of the documentation answers as documented', async () => {
  answerCosting(2)
  assert.equal((await message(gateway, { sub: 'u-alice', groups: ['eng'] })).status, 200)
  const all = examples()
  assert.equal(all.length, 8)
  let limitId = ''
  for (const { command, answer } of all) {
    const { stdout } = await promisify(execFile)('bash', ['-c', command], {
      env: {
        PATH: process.env['PATH'],
        GATEWAY: gateway.url,
        ADMIN_KEY: writeKey,
        READ_KEY: readKey,
        LIMIT_ID: limitId,
        TODAY: `${new Date().toISOString().slice(0, 10)}T00:00:00Z`,
      },
    })
    const found = JSON.parse(stdout)
    assertShape(found, answer, command)
    if (limitId === '') limitId = found.id // of the first one, which is Alice's
  }
})
