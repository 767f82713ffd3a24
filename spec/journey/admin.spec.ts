/** The Admin API and the usage of a caller through real processes, with an outage of PostgreSQL. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { periodsAt } from '../../lib/spend/period.ts'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const server = new URL(database.url)
const proxy = await startTcpProxy({ after }, { host: server.hostname, port: Number(server.port) })
const writeKey = 'w'.repeat(36)
const readKey = 'r'.repeat(36)
const admin = {
  write_keys: [{ id: 'tf', key: writeKey }],
  read_keys: [{ id: 'ro', key: readKey }],
  admin_groups: ['admins'],
  blocked_message: 'ask finops',
}
const parts = { issuer: provider.issuer, upstream: upstream.url }
const gateway = await startGateway(
  { after },
  { ...parts, postgresUrl: database.url, config: { admin } },
)
const behindProxy = await startGateway(
  { after },
  { ...parts, postgresUrl: proxy.through(database.url), config: { admin } },
)
const withoutAdmin = await startGateway({ after }, { ...parts, postgresUrl: database.url })

const api = (path: string, options: Parameters<typeof send>[1] = {}, at = gateway) =>
  send(`${at.url}/v1/organizations/spend_limits${path}`, {
    ...options,
    headers: { 'x-api-key': writeKey, ...options.headers },
  })

const clear = () =>
  database.query('TRUNCATE spend_limits, admin_audit, spend, pooled_spend RESTART IDENTITY')

test('admin: without the block its paths are like any other (F410)', async () => {
  const token = sessionToken(withoutAdmin.url, { groups: ['admins'] })
  for (const path of ['/v1/organizations/spend_limits', '/v1/organizations/analytics/cost']) {
    const url = `${withoutAdmin.url}${path}`
    assert.equal((await send(url, { headers: { 'x-api-key': writeKey } })).status, 401)
    const found = await send(url, { token })
    assert.deepEqual([found.status, found.body], [404, 'not found'])
  }
  const usage = await send(`${withoutAdmin.url}/api/oauth/usage`, { token })
  assert.deepEqual([usage.status, usage.body], [404, 'not configured'])
})

test('admin: refusals and changes are audited (F265 F269)', async () => {
  await clear()
  await api('', { headers: { 'x-api-key': 'n'.repeat(36) } })
  const denied = await gateway.audit('admin.denied', (line) => line['reason'] === 'invalid_key')
  const { ts: _ts, ...fields } = denied
  assert.deepEqual(fields, {
    evt: 'admin.denied',
    reason: 'invalid_key',
    method: 'GET',
    path: '/v1/organizations/spend_limits',
    client_ip: '127.0.0.1',
  })
  const scope = { type: 'rbac_group', rbac_group_id: 'audited' }
  const body = { scope, amount: '100', pooled_budget: { amount: '500' } }
  const created = await api('', { body: JSON.stringify(body) })
  assert.equal(created.status, 200)
  const line = await gateway.audit('admin.limit.upsert', (each) => each['scope_id'] === 'audited')
  assert.deepEqual(
    [line['actor'], line['amount'], line['pooled_budget'], 'before_amount' in line],
    ['admin-key:tf', '100', { amount: '500', paused: false }, false],
  )
  const { id }: { id: string } = JSON.parse(created.body)
  assert.equal((await api(`/${id}`, { method: 'DELETE' })).status, 200)
  const removed = await gateway.audit('admin.limit.delete', (each) => each['target'] === id)
  assert.equal(removed['scope_type'], 'rbac_group')
  await gateway.line(
    /info admin POST \/v1\/organizations\/spend_limits -> 200 \(req_[0-9a-f]{32}\)/,
  )
})

test('admin: a cap that was just set holds for the next call, here and on the other replica (F409)', async () => {
  await clear()
  upstream.always({ body: '{"type":"message","usage":{"input_tokens":1,"output_tokens":1}}' })
  const call = (to: typeof gateway) =>
    send(`${to.url}/v1/messages`, {
      token: sessionToken(to.url, { sub: 'u-capped', groups: [] }),
      body: '{"model":"claude-sonnet-4-6","max_tokens":1,"messages":[]}',
    })
  assert.equal((await call(gateway)).status, 200)
  assert.equal((await call(behindProxy)).status, 200)
  const scope = { type: 'user', user_id: 'u-capped' }
  const set = await api('', { body: JSON.stringify({ scope, amount: '0', period: 'daily' }) })
  assert.equal(set.status, 200)
  assert.equal((await call(gateway)).status, 429)
  const begun = performance.now()
  while ((await call(behindProxy)).status === 200) {
    assert.ok(performance.now() - begun < 5000, 'the other replica never heard of it')
  }
})

test('admin: usage shows the caller where they stand (F295)', async () => {
  await clear()
  const periods = periodsAt(Date.now())
  const limit = (amount: string, period: string) =>
    api('', {
      body: JSON.stringify({ scope: { type: 'user', user_id: 'u-usage' }, amount, period }),
    })
  const usage = async (sub: string): Promise<Record<string, unknown>> => {
    const token = sessionToken(gateway.url, { sub, groups: [] })
    const reply = await send(`${gateway.url}/api/oauth/usage`, { token })
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['cache-control'], 'no-store')
    return JSON.parse(reply.body)
  }
  const none = { limit: null, used_credits: 0, utilization: null }
  assert.deepEqual(await usage('u-nobody'), {
    extra_usage: {
      is_enabled: true,
      monthly_limit: null,
      used_credits: 0,
      utilization: null,
      currency: 'USD',
      daily: none,
      weekly: none,
    },
    limits: [],
  })
  await limit('100', 'daily')
  await limit('1000', 'monthly')
  for (const { key } of Object.values(periods)) {
    await database.query(
      `INSERT INTO spend (principal, period, cents) VALUES ('u-usage', $1, 99.6)`,
      [key],
    )
  }
  assert.deepEqual(await usage('u-usage'), {
    extra_usage: {
      is_enabled: true,
      monthly_limit: 100,
      used_credits: 99,
      utilization: 99,
      currency: 'USD',
    },
    limits: [
      {
        kind: 'spend',
        group: 'daily',
        percent: 99,
        resets_at: new Date(periods.daily.endsAt).toISOString(),
        severity: 'critical',
        is_active: true,
      },
      {
        kind: 'spend',
        group: 'monthly',
        percent: 10,
        resets_at: new Date(periods.monthly.endsAt).toISOString(),
        severity: 'normal',
        is_active: false,
      },
    ],
  })
})

test('admin: a session whose groups are a bare string is a member of that group (F408)', async () => {
  const token = sessionToken(gateway.url, { groups: 'admins' })
  const reply = await send(`${gateway.url}/v1/organizations/spend_limits`, { token })
  assert.equal(reply.status, 200)
})

test('admin: a database that is away is 503 in the envelope of the API (B041)', async () => {
  for (const outage of ['refuse', 'hang'] as const) {
    await proxy[outage]()
    const begun = performance.now()
    const reply = await api('', {}, behindProxy)
    const tookMs = performance.now() - begun
    await proxy.forward()
    assert.equal(reply.status, 503, outage)
    assert.match(
      reply.body,
      /^\{"type":"error","error":\{"type":"api_error","message":"store unavailable"\},"request_id":"req_[0-9a-f]{32}"\}$/,
    )
    assert.equal(reply.headers['retry-after'], '5')
    assert.ok(tookMs < 7000, `${outage}: ${tookMs} ms`)
  }
})
