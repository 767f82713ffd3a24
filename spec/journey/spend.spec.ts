/** Caps and spend through real gateway processes on one database, with outages of it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, test } from 'node:test'
import { open, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageCosting, messageEvents } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const server = new URL(database.url)
const proxy = await startTcpProxy({ after }, { host: server.hostname, port: Number(server.port) })

const admin = { blocked_message: 'ask finops' }
const start = (config: object = {}, url = database.url): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: url,
      issuer: provider.issuer,
      upstream: upstream.url,
      config: { admin, ...config },
    },
  )
const gateway = await start()
const other = await start()
const behindProxy = await start({}, proxy.through(database.url))
const closed = await start(
  { enforcement: { fail_closed_on_error: true } },
  proxy.through(database.url),
)

function answerCosting(cents: number): void {
  upstream.always({ body: messageCosting(cents) })
}

const message = (extra: object = {}): string =>
  JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 10, messages: [], ...extra })

let people = 0
/** Somebody nobody has heard of. */
const somebody = (): string => `u-${++people}-${randomUUID().slice(0, 8)}`

function call(at: GatewayProcess, sub: string, body = message(), claims: object = {}) {
  const token = sessionToken(at.url, { sub, email: `${sub}@example.com`, ...claims })
  return send(`${at.url}/v1/messages`, { token, body })
}

async function setCap(scope: string, id: string, amount: number | null, period = 'monthly') {
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (scope_type, scope_id, period) DO UPDATE SET amount = EXCLUDED.amount`,
    [`spl_${randomUUID()}`, scope, id, amount, period],
  )
}

async function spent(sub: string): Promise<number[]> {
  const rows = await database.query(
    'SELECT cents FROM spend WHERE principal = $1 ORDER BY period',
    [sub],
  )
  return rows.map(({ cents }) => Number(cents))
}

/** Until three rows say `cents`; written within moments, on a busy machine within seconds. */
async function settled(sub: string, cents: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const rows = await spent(sub)
    if (rows.length === 3 && rows.every((row) => Math.abs(row - cents) < 1e-9)) return
    await sleep(50)
  }
  assert.fail(`${sub} spent ${JSON.stringify(await spent(sub))}, not ${cents}`)
}

const usageHeaders = (reply: { rawHeaders: readonly string[] }): Record<string, string> =>
  Object.fromEntries(
    reply.rawHeaders.flatMap((name, index) =>
      index % 2 === 0 && name.startsWith('anthropic-ratelimit-unified-')
        ? [[name.slice('anthropic-ratelimit-unified-'.length), reply.rawHeaders[index + 1] ?? '']]
        : [],
    ),
  )

test('spend: what a call costs is in its three rows, and who it was beside them (F302 F411)', async () => {
  const sub = somebody()
  answerCosting(2)
  assert.equal((await call(gateway, sub)).status, 200)
  assert.equal((await call(other, sub)).status, 200)
  await settled(sub, 4)
  const [person] = await database.query(
    'SELECT email, name, groups FROM principal_emails WHERE principal = $1',
    [sub],
  )
  assert.deepEqual(person, { email: `${sub}@example.com`, name: 'Alice A', groups: ['eng'] })
  const [day] = await database.query('SELECT groups FROM principal_groups WHERE principal = $1', [
    sub,
  ])
  assert.deepEqual(day, { groups: ['eng'] })
})

test('spend: a caller without a cap hears nothing of limits (F294)', async () => {
  answerCosting(1)
  assert.deepEqual(usageHeaders(await call(gateway, somebody())), {})
})

test('spend: the call that reaches a cap passes, the next one is refused (F277 F409)', async () => {
  const sub = somebody()
  await setCap('user', sub, 10)
  answerCosting(9)
  const first = await call(gateway, sub)
  assert.equal(first.status, 200)
  assert.equal(usageHeaders(first)['overage-utilization'], '0')
  const second = await call(gateway, sub)
  assert.equal(second.status, 200)
  assert.equal(usageHeaders(second)['overage-utilization'], '0.9')
  assert.equal(usageHeaders(second)['overage-surpassed-threshold'], '0.75')
  const third = await call(gateway, sub)
  assert.equal(third.status, 429)
  assert.match(
    third.body,
    /^\{"type":"error","error":\{"type":"billing_error","message":"spend limit reached · resets \w{3} \d+ · ask finops"\}\}$/,
  )
  assert.equal(usageHeaders(third)['overage-utilization'], '1.8')
  assert.equal(third.headers['x-should-retry'], 'false')
  assert.ok(Number(third.headers['retry-after']) > 0)
  const line = await gateway.audit('spend.blocked', (audit) => audit['sub'] === sub)
  const { ts: _ts, request_id, ...fields } = line
  assert.equal(request_id, third.headers['x-request-id'])
  assert.deepEqual(fields, {
    evt: 'spend.blocked',
    sub,
    cause: 'over_limit',
    cap_cents: '10',
    source: 'user',
    period: 'monthly',
  })
  assert.ok(!gateway.audits('inference').some((audit) => audit['request_id'] === request_id))
})

test('spend: another replica refuses too, once the spend is written (F409)', async () => {
  const sub = somebody()
  await setCap('user', sub, 10)
  answerCosting(12)
  assert.equal((await call(gateway, sub)).status, 200)
  await settled(sub, 12)
  assert.equal((await call(other, sub)).status, 429)
})

test('spend: a spent cap goes before bad JSON and an unknown model, and token counts are free (F280 F376)', async () => {
  const sub = somebody()
  await setCap('user', sub, 0, 'daily')
  assert.equal((await call(gateway, sub, '{')).status, 429)
  const reply = await call(gateway, sub, message({ model: 'nobody' }))
  assert.equal(reply.status, 429)
  assert.match(reply.body, /"message":"spend limit reached · ask finops"/)
  upstream.always({ body: '{"input_tokens":4}' })
  const token = sessionToken(gateway.url, { sub })
  const count = await send(`${gateway.url}/v1/messages/count_tokens`, { token, body: message() })
  assert.equal(count.status, 200)
  assert.deepEqual(usageHeaders(count), {})
  assert.deepEqual(await spent(sub), [])
})

test('spend: an aborted stream is billed for what was sent (F291)', async () => {
  const sub = somebody()
  const [head = '', ...events] = messageEvents('x'.repeat(600))
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [head, ...events.slice(0, 2), { ending: 'stall' }],
  })
  const token = sessionToken(gateway.url, { sub })
  const { request, head: reply } = open(`${gateway.url}/v1/messages`, {
    token,
    body: message({ stream: true }),
  })
  const response = await reply
  await new Promise((resolve) => response.once('data', resolve))
  await sleep(300)
  request.destroy()
  const line = await gateway.audit('inference', (audit) => audit['sub'] === sub)
  assert.equal(line['outcome'], 'client_abort')
  assert.ok(Number(line['cents']) > 0)
  await settled(sub, Number(line['cents']))
})

test('spend: what an upstream refuses costs nothing', async () => {
  const sub = somebody()
  upstream.next({ status: 400, body: '{"type":"error"}' })
  assert.equal((await call(gateway, sub)).status, 400)
  await sleep(300)
  assert.deepEqual(await spent(sub), [])
})

test('spend: an answer without usage is counted at its upstream, or estimated (F292)', async () => {
  const [counted, estimated] = [somebody(), somebody()]
  // 12 bytes of answer are 3 tokens; the count answers 500, or the 43 characters of input are 11.
  const bare = '{"a":"12345"}'.slice(0, 12)
  upstream.next({ body: bare }, { body: '{"input_tokens":500}' })
  assert.equal((await call(gateway, counted)).status, 200)
  await settled(counted, 500 * 0.0003 + 3 * 0.0015)
  const request = upstream.requests.at(-1)
  assert.equal(request?.url, '/v1/messages/count_tokens')
  assert.equal(request.headers['x-api-key'], 'sk-upstream-1')
  assert.equal(request.body.toString(), '{"messages":[],"model":"claude-sonnet-4-6"}')
  upstream.next({ body: bare }, { status: 404, body: '{}' })
  assert.equal((await call(gateway, estimated)).status, 200)
  await settled(estimated, Math.ceil('{"messages":[]}'.length / 4) * 0.0003 + 3 * 0.0015)
})

test('spend: a reservation lasts until its call is counted, even where input must be asked for', async (t) => {
  const reserving = await startGateway(t, {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { admin, extensions: { spend: { reserve: true } } },
  })
  const sub = somebody()
  await setCap('user', sub, 10)
  // At most 12 cents, and the input is never counted: the bill waits for five seconds.
  upstream.next({ body: '{"a":"12345"}' }, { fault: 'stall-before-head' })
  const body = message({ max_tokens: 8000 })
  assert.equal((await call(reserving, sub, body)).status, 200)
  assert.equal((await call(reserving, sub, body)).status, 429)
  const line = await reserving.audit('inference', (audit) => audit['sub'] === sub)
  await settled(sub, Number(line['cents']))
  answerCosting(1)
  assert.equal((await call(reserving, sub, body)).status, 200)
})

test('spend: members of a group share its pool (F403 F404)', async () => {
  const group = `pool-${randomUUID()}`
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period, pooled_limit_enabled,
       pooled_monthly_credit_limit) VALUES ($1, 'rbac_group', $2, 1000, 'monthly', true, 10)`,
    [`spl_${randomUUID()}`, group],
  )
  answerCosting(6)
  const [first, second] = [somebody(), somebody()]
  assert.equal((await call(gateway, first, message(), { groups: [group] })).status, 200)
  assert.equal((await call(other, second, message(), { groups: [group] })).status, 200)
  await settled(first, 6)
  await settled(second, 6)
  const [row] = await database.query('SELECT cents FROM pooled_spend WHERE rbac_group_id = $1', [
    group,
  ])
  assert.deepEqual(row, { cents: 12 })
  const third = await call(other, somebody(), message(), { groups: [group] })
  assert.equal(third.status, 429)
  assert.equal(usageHeaders(third)['overage-scope'], 'group_pool')
  assert.match(third.body, /exceeds your group's budget/)
  const line = await other.audit('spend.blocked', (audit) => audit['source'] === 'group_pool')
  assert.deepEqual(line['groups'], [group])
})

test('spend: a database that is away lets calls pass and loses nothing (F296 B035)', async () => {
  const sub = somebody()
  answerCosting(2)
  await proxy.refuse()
  const replies = await Promise.all(Array.from({ length: 5 }, () => call(behindProxy, sub)))
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
  assert.deepEqual(usageHeaders(replies[0] ?? { rawHeaders: [] }), {})
  await behindProxy.line(/warn spend check failed: /)
  await proxy.forward()
  await settled(sub, 10)
})

test('spend: with fail_closed_on_error it refuses instead (F297)', async () => {
  const sub = somebody()
  answerCosting(1)
  await proxy.refuse()
  const reply = await call(closed, sub)
  await proxy.forward()
  assert.equal(reply.status, 429)
  assert.match(reply.body, /"message":"spend limit unavailable · ask finops"/)
  assert.deepEqual(usageHeaders(reply), { 'overage-disabled-reason': 'fetch_error' })
  const line = await closed.audit('spend.blocked', (audit) => audit['sub'] === sub)
  assert.equal(line['cause'], 'store_error')
})

test('spend: a database that hangs holds a call for 1.5 seconds at most (B037)', async () => {
  answerCosting(1)
  const sub = somebody()
  proxy.hang()
  const begun = performance.now()
  const reply = await call(behindProxy, sub)
  const tookMs = performance.now() - begun
  await proxy.forward()
  assert.equal(reply.status, 200)
  // The rest is this machine's.
  assert.ok(tookMs > 1000 && tookMs < 3000, `took ${tookMs} ms`)
  await settled(sub, 1)
})

test('spend: the developers of a load test have rows of their own (F213)', async (t) => {
  const empty = await createDatabase(t)
  const tested = await startGateway(t, {
    postgresUrl: empty.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { admin, load_test_mode: { enabled: true, reply_seconds: 0, reply_tokens: 40 } },
  })
  const token = sessionToken(tested.url, { sub: 'tester' })
  const cents = new Map<string, number>()
  for (const user of ['7', '7', '8', undefined]) {
    const headers = user === undefined ? {} : { 'x-load-test-user': user }
    const reply = await send(`${tested.url}/v1/messages`, { token, headers, body: message() })
    assert.equal(reply.status, 200)
    const line = await tested.audit(
      'inference',
      (each) => each['request_id'] === reply.headers['x-request-id'],
    )
    const sub = String(line['sub'])
    cents.set(sub, (cents.get(sub) ?? 0) + Number(line['cents']))
  }
  tested.kill('SIGTERM')
  await tested.exited
  assert.deepEqual([...cents.keys()], ['tester#load-7', 'tester#load-8', 'tester'])
  const rows = await empty.query(
    `SELECT principal, cents FROM spend WHERE period LIKE '____-__' ORDER BY principal COLLATE "C"`,
  )
  const found = new Map(rows.map((row) => [String(row['principal']), Number(row['cents'])]))
  assert.equal(found.size, 3)
  for (const [sub, expected] of cents) {
    assert.ok(expected > 0 && Math.abs((found.get(sub) ?? 0) - expected) < 1e-9, sub)
  }
})

test('spend: what waits is written when the gateway is told to stop (B036)', async () => {
  const sub = somebody()
  const stopping = await start()
  answerCosting(4)
  assert.equal((await call(stopping, sub)).status, 200)
  stopping.kill('SIGTERM')
  assert.equal(await stopping.exited, 0)
  assert.deepEqual(await spent(sub), [4, 4, 4])
})
