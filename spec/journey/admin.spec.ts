/** The Admin API of the real gateway, asked what the reference was asked, in the same order. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { periodsAt } from '../../lib/spend/period.ts'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

interface Recorded {
  readonly name: string
  readonly key: string | null
  readonly bearer: string | { readonly sub: string; readonly groups: string[] } | null
  readonly method: string
  readonly path: string
  readonly body: string | null
  readonly status: number
  readonly noStore: boolean
  readonly reply: string
}

const recorded: readonly Recorded[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/admin/admin.json'), 'utf8'),
)

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

/** Ids of the reference and ours for the same object, as they show up. */
class Ids {
  readonly #ours = new Map<string, string>()

  translate(text: string): string {
    return text.replaceAll(/spl_[0-9a-f]{32}/g, (id) => this.#ours.get(id) ?? id)
  }

  /** Compares values; ids must correspond, moments only be moments. */
  compare(ours: unknown, theirs: unknown, place: string): void {
    if (typeof ours === 'string' && typeof theirs === 'string') {
      if (/^spl_[0-9a-f]{32}$/.test(theirs) && /^spl_[0-9a-f]{32}$/.test(ours)) {
        const known = this.#ours.get(theirs)
        if (known === undefined) this.#ours.set(theirs, ours)
        else assert.equal(ours, known, place)
      } else if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(theirs)) {
        assert.match(ours, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, place)
      } else if (/^req_[0-9a-f]{32}$/.test(theirs)) {
        assert.match(ours, /^req_[0-9a-f]{32}$/, place)
      } else {
        assert.equal(ours, theirs, place)
      }
    } else if (isObject(ours) && isObject(theirs)) {
      assert.deepEqual(Object.keys(ours), Object.keys(theirs), place)
      for (const key of Object.keys(theirs)) this.compare(ours[key], theirs[key], `${place}.${key}`)
    } else {
      assert.deepEqual(ours, theirs, place)
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

async function replay(exchanges: readonly Recorded[], ids: Ids): Promise<void> {
  for (const { name, key, bearer, method, path, body, status, noStore, reply } of exchanges) {
    const token =
      bearer === null || typeof bearer === 'string'
        ? bearer
        : sessionToken(gateway.url, { ...bearer, email: 'x@example.com' })
    const answer = await send(`${gateway.url}${ids.translate(path)}`, {
      method,
      ...(body === null ? {} : { body }),
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        'content-length': String(Buffer.byteLength(body ?? '')),
      },
    })
    const what = `${name}: ${method} ${path} ${body ?? ''}`
    assert.equal(answer.status, status, `${what}\n${answer.body}`)
    assert.equal(answer.headers['cache-control'] === 'no-store', noStore, what)
    const [ours, theirs]: unknown[] = [answer.body, reply].map((text) => JSON.parse(text))
    ids.compare(ours, theirs, what)
    assert.match(String(answer.headers['request-id']), /^req_[0-9a-f]{32}$/)
    if (status >= 400) {
      assert.equal(isObject(ours) ? ours['request_id'] : '', answer.headers['request-id'])
    }
  }
}

const at = (name: string): number => {
  const index = recorded.findIndex((exchange) => exchange.name === name)
  assert.ok(index >= 0, name)
  return index
}
const clear = () =>
  database.query('TRUNCATE spend_limits, admin_audit, spend, pooled_spend RESTART IDENTITY')

test('admin: keys, sessions, limits, lists and the audit answer as the reference does (F250 F251 F252 F253 F254 F255 F256 F257 F258 F259 F260 F261 F262 F263 F264 F265 F266 F267 F268)', async () => {
  await clear()
  await replay(recorded.slice(0, at('pooled_budget string')), new Ids())
})

test('admin: group pools answer as the reference does (F402)', async () => {
  await clear()
  await replay(recorded.slice(at('pooled_budget string'), at('pooled_budget2 ok')), new Ids())
  await clear()
  await replay(recorded.slice(at('pooled_budget2 ok'), at('audit pooled')), new Ids())
})

test('admin: effective limits answer as the reference does (F270 F271 F272 F273 F274 F275 F276)', async () => {
  await clear()
  const ids = new Ids()
  await replay(recorded.slice(at('org monthly'), at('effective ')), ids)
  const people = [
    ['u1', ['g1', 'pb1'], 2.0999999999999996],
    ['u2', ['g1', 'g2'], 1.0499999999999998],
    ['u3', [], 1.0499999999999998],
    ['u4', ['pb1'], 1.0499999999999998],
  ] as const
  const periods = Object.values(periodsAt(Date.now()))
  for (const [sub, groups, cents] of people) {
    await database.query(
      `INSERT INTO principal_emails (principal, email, name, groups) VALUES ($1, $2, $3, $4)`,
      [sub, `${sub}@example.com`, `N ${sub}`, JSON.stringify(groups)],
    )
    for (const { key } of periods) {
      await database.query('INSERT INTO spend (principal, period, cents) VALUES ($1, $2, $3)', [
        sub,
        key,
        cents,
      ])
    }
  }
  await replay(
    recorded.slice(at('effective '), at('no admin block jwt /v1/organizations/spend_limits')),
    ids,
  )
})

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
    ['admin-key:tf', '100', '{"amount":"500","paused":false}', false],
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
