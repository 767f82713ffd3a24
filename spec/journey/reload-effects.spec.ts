/** What a new configuration changes for calls, spend and reports, and what a reload must not lose. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import {
  createFakeUpstream,
  messageCosting,
  messageEvents,
  messageJson,
} from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { reload } from '../support/reload.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())

const start = (t: { after(action: () => Promise<void> | void): void }, config: object = {}) =>
  startGateway(t, {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { ...config },
  })
const message = (extra: object = {}): string =>
  JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 5, messages: [], ...extra })
const call = (gateway: GatewayProcess, body = message(), claims: object = {}) =>
  send(`${gateway.url}/v1/messages`, { token: sessionToken(gateway.url, { ...claims }), body })
const report = (gateway: GatewayProcess, body: string) =>
  send(`${gateway.url}/v1/metrics`, { token: sessionToken(gateway.url), body })

/** The cents of the newest call. */
async function costed(gateway: GatewayProcess): Promise<unknown> {
  const before = gateway.audits('inference').length
  assert.equal((await call(gateway)).status, 200)
  for (let turn = 0; turn < 200 && gateway.audits('inference').length === before; turn++) {
    await sleep(20)
  }
  return gateway.audits('inference').at(-1)?.['cents']
}

test('reload: a new price is what the next call costs', async (t) => {
  const managed = { policies: [{ cli: {} }] }
  const gateway = await start(t, { managed, pricing: { multiplier: 1 } })
  upstream.always({ body: messageJson('Hello') })
  const before = await costed(gateway)
  assert.ok(typeof before === 'number' && before > 0)
  await reload(gateway, { pricing: { multiplier: 3 } })
  assert.ok(Math.abs(Number(await costed(gateway)) - 3 * before) < 1e-9)
  const row = { input: 1000, output: 1000, cache_read: 1000, cache_write: 1000 }
  await reload(gateway, {
    pricing: { overrides: [{ upstream: 'anthropic', model: 'claude-sonnet-4-6', ...row }] },
  })
  assert.ok(Number(await costed(gateway)) >= 100, 'a thousand tokens at 1000 dollars a million')
})

test('reload: a new model is listed, admitted and asked for under its upstream’s name (B051)', async (t) => {
  const gateway = await start(t)
  upstream.always({ body: messageJson('Hello') })
  const house = message({ model: 'house' })
  assert.equal((await call(gateway, house)).status, 400)
  await reload(gateway, { models: [{ id: 'house', upstream_model: { anthropic: 'house-7' } }] })
  assert.equal((await call(gateway, house)).status, 200)
  assert.match(upstream.requests.at(-1)?.body.toString() ?? '', /"model":"house-7"/)
  const listed = await send(`${gateway.url}/v1/models`, { token: sessionToken(gateway.url) })
  assert.match(listed.body, /"house"/)
})

test('reload: a new limit refuses the next request, also for whoever keeps the connection', async (t) => {
  const gateway = await start(t)
  upstream.always({ body: messageJson('Hello') })
  const long = message({ metadata: { user_id: 'x'.repeat(5000) } })
  assert.equal((await call(gateway, long)).status, 200)
  await reload(gateway, { limits: { max_request_bytes: 4000, max_url_length: 200 } })
  assert.equal((await call(gateway, long)).status, 413)
  assert.equal((await call(gateway)).status, 200)
  assert.equal((await send(`${gateway.url}/v1/models?${'x'.repeat(300)}`)).status, 414)
})

test('reload: new spend settings act: the words of a refusal, how groups combine, keys', async (t) => {
  const key = (id: string) => ({ id, key: id.repeat(40) })
  const gateway = await start(t, {
    admin: { blocked_message: 'ask alice', group_limit_mode: 'min', write_keys: [key('a')] },
  })
  upstream.always({ body: messageCosting(100) })
  const groups = [`low-${randomUUID()}`, `high-${randomUUID()}`]
  for (const [index, id] of groups.entries()) {
    await database.query(
      `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
       VALUES ($1, 'rbac_group', $2, $3, 'monthly')`,
      [`spl_${randomUUID()}`, id, index === 0 ? 50 : 1000],
    )
  }
  const person = { sub: `u-${randomUUID()}`, groups }
  assert.equal((await call(gateway, message(), person)).status, 200)
  const blocked = await call(gateway, message(), person)
  assert.equal(blocked.status, 429)
  assert.match(blocked.body, /ask alice/)
  await reload(gateway, {
    admin: { blocked_message: 'ask bob', group_limit_mode: 'min', write_keys: [key('b')] },
  })
  const again = await call(gateway, message(), person)
  assert.equal(again.status, 429)
  assert.match(again.body, /ask bob/)
  const limits = (id: string) =>
    send(`${gateway.url}/v1/organizations/spend_limits`, {
      headers: { 'x-api-key': id.repeat(40) },
    })
  assert.deepEqual([(await limits('a')).status, (await limits('b')).status], [401, 200])
  await reload(gateway, { admin: { blocked_message: 'ask bob', group_limit_mode: 'max' } })
  assert.equal((await call(gateway, message(), person)).status, 200)
})

const relayTo = (url: string, headers: object = {}, bytes = 1_048_576) => ({
  telemetry: { forward_to: [{ url, headers }] },
  extensions: { telemetry: { queue_bytes: bytes } },
})

test('reload: reports that wait for a collector are kept across reloads, within one bound', async (t) => {
  const collector = await createFakeUpstream()
  t.after(() => collector.close())
  collector.always({ status: 503 })
  const gateway = await start(t, relayTo(collector.url, { 'x-round': '0' }))
  // Three of these fit into the bound, a fourth does not, however often the file is loaded.
  const body = 'x'.repeat(300_000)
  for (let round = 1; round <= 4; round++) {
    assert.equal((await report(gateway, `${round}${body}`)).status, 200)
    await sleep(200)
    await reload(gateway, relayTo(collector.url, { 'x-round': String(round) }))
  }
  await gateway.line(/lost 1 report\(s\), the queue is full/)
  collector.always({})
  const taken = () =>
    new Set(
      collector.requests
        .filter(({ headers }) => headers['x-round'] === '4')
        .map((request) => request.body.toString('latin1', 0, 1)),
    )
  await gateway.line(/takes reports again: 3 delivered late/)
  assert.deepEqual([...taken()].toSorted(), ['1', '2', '3'])
  assert.equal(gateway.lines.filter((line) => line.includes('gave up')).length, 0)
})

test('reload: reports for a collector that the new file does not name are still delivered', async (t) => {
  const [old, next] = [await createFakeUpstream(), await createFakeUpstream()]
  t.after(() => Promise.all([old.close(), next.close()]))
  old.next({ status: 503 })
  const gateway = await start(t, relayTo(old.url))
  await report(gateway, 'for the old one')
  await old.request(0)
  await reload(gateway, relayTo(next.url))
  await report(gateway, 'for the new one')
  assert.equal((await next.request(0)).body.toString(), 'for the new one')
  assert.equal((await old.request(1)).body.toString(), 'for the old one')
  await gateway.line(/takes reports again: 1 delivered late/)
})

test('reload: a shutdown in the middle of one drains calls and reports as ever', async (t) => {
  const collector = await createFakeUpstream()
  t.after(() => collector.close())
  collector.always({ headAfterMs: 1500 })
  const gateway = await start(t, relayTo(collector.url))
  const [head = '', ...events] = messageEvents('one two three')
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [head, { waitMs: 2000 }, ...events],
  })
  const { head: reply } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: message({ stream: true }),
  })
  const response = await reply
  await report(gateway, 'last words')
  const { closed } = await collector.request(0)
  provider.misbehave('discovery', { kind: 'delay', ms: 1000 })
  t.after(() => provider.misbehave('discovery', null))
  const asked = provider.requests('discovery').length
  gateway.reconfigure({
    ...relayTo('http://127.0.0.1:9'),
    oidc: {
      issuer: provider.issuer,
      client_id: 'gateway',
      client_secret: 'gateway-secret',
      allowed_groups: ['eng'],
    },
  })
  gateway.kill('SIGHUP')
  for (let turn = 0; turn < 500 && provider.requests('discovery').length === asked; turn++) {
    await sleep(10)
  }
  assert.ok(provider.requests('discovery').length > asked, 'the reload is under way')
  gateway.kill('SIGTERM')
  assert.equal(await readAll(response), [head, ...events].join(''))
  assert.equal(await gateway.exited, 0)
  assert.equal(await closed, 'complete')
  const log = gateway.lines.join('\n')
  assert.match(log, /the old configuration stays in use: the gateway is stopping/)
  assert.match(log, /drained: no request was cut/)
  assert.doesNotMatch(log, /in use now|gave up|uncaught|unhandled/)
  assert.equal(gateway.audits('config.load').length, 1)
})

test('reload: a provider that was away is asked again, and the file is in use then', async (t) => {
  const gateway = await start(t)
  upstream.always({ body: messageJson('Hello') })
  provider.misbehave('discovery', { kind: 'reset' })
  t.after(() => provider.misbehave('discovery', null))
  const oidc = {
    issuer: provider.issuer,
    client_id: 'gateway',
    client_secret: 'gateway-secret',
    allowed_groups: ['nobody'],
  }
  await reload(gateway, { oidc }, false)
  await gateway.line(/ error reload \(SIGHUP\): the old configuration stays in use: /)
  await gateway.line(/ warn reload: the same is tried again in 10 s/)
  assert.equal((await call(gateway)).status, 200)
  provider.misbehave('discovery', null)
  await gateway.line(/ info reload \(another try\): in use now, changed: oidc$/)
  assert.equal(gateway.audits('config.load').length, 2)
})
