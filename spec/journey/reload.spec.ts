/** A configuration replaced while the real gateway serves. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents, messageJson } from '../support/fake-upstream.ts'
import { type GatewayProcess, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { reload } from '../support/reload.ts'
import { sessionSecret, sessionToken, signToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
const second = await createFakeUpstream()
after(() => Promise.all([upstream.close(), second.close()]))

const start = (t: { after(action: () => Promise<void> | void): void }, config: object = {}) =>
  startGateway(t, {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { ...config },
  })

const policies = (...models: string[]) => ({
  managed: { policies: [{ cli: { availableModels: models } }] },
})
const call = (gateway: GatewayProcess, model = 'claude-sonnet-4-6') =>
  send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: JSON.stringify({ model, max_tokens: 5, messages: [] }),
  })
const settings = (gateway: GatewayProcess) =>
  send(`${gateway.url}/managed/settings`, { token: sessionToken(gateway.url) })

test('reload: new calls meet the new policy, and clients are given new settings', async (t) => {
  const gateway = await start(t, policies('haiku'))
  upstream.always({ body: messageJson('Hello') })
  assert.equal((await call(gateway)).status, 400)
  const before = await settings(gateway)
  await reload(gateway, policies('sonnet', 'haiku'))
  assert.equal((await call(gateway)).status, 200)
  const now = await settings(gateway)
  assert.notEqual(now.headers.etag, before.headers.etag)
  assert.match(now.body, /"availableModels":\["sonnet","haiku"\]/)
  await gateway.line(/ info reload \(SIGHUP\): in use now, changed: managed$/)
  const loads = gateway.audits('config.load')
  assert.equal(loads.length, 2)
  assert.notEqual(loads[0]?.['sha256'], loads[1]?.['sha256'])
  await gateway.line(/ info reload: the old configuration is gone/)
})

test('reload: a changed file is noticed without a signal', async (t) => {
  const gateway = await start(t, policies('haiku'))
  upstream.always({ body: messageJson('Hello') })
  gateway.reconfigure(policies('sonnet'))
  await gateway.line(/ info reload \(a file has changed\): in use now, changed: managed$/)
  assert.equal((await call(gateway)).status, 200)
})

test('reload: a stream that is open goes on under the old configuration, to its end', async (t) => {
  const gateway = await start(t)
  const [head = '', ...events] = messageEvents('one two three')
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [head, { waitMs: 1500 }, ...events],
  })
  const { head: reply } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: JSON.stringify({ model: 'claude-sonnet-4-6', max_tokens: 5, messages: [], stream: true }),
  })
  const response = await reply
  const other = { provider: 'anthropic', base_url: second.url, auth: { api_key: 'sk-2' } }
  await reload(gateway, { upstreams: [{ ...other, name: 'other' }] })
  assert.ok(!gateway.lines.some((line) => line.includes('the old configuration is gone')))
  second.always({ body: messageJson('Hello') })
  assert.equal((await call(gateway)).status, 200)
  assert.equal(second.requests.at(-1)?.headers['x-api-key'], 'sk-2')
  assert.equal(await readAll(response), [head, ...events].join(''))
  await gateway.line(/ info reload: the old configuration is gone/)
})

test('reload: a file with mistakes changes nothing, and all of them are in the log', async (t) => {
  const gateway = await start(t, policies('sonnet'))
  upstream.always({ body: messageJson('Hello') })
  const mistaken = { managed: { policies: [{ cli: { availableModel: [] } }] }, listn: {} }
  await reload(gateway, mistaken, false)
  await gateway.line(/ error .*listn/)
  await gateway.line(/ error .*availableModel/)
  await gateway.line(
    / error reload \(SIGHUP\): the old configuration stays in use: .* has 2 mistake/,
  )
  writeFileSync(gateway.configPath, '{')
  gateway.kill('SIGHUP')
  await gateway.line(
    / error reload \(SIGHUP\): the old configuration stays in use: .* has 1 mistake/,
  )
  assert.equal((await call(gateway)).status, 200)
})

test('reload: what cannot change while it runs is named, and the rest of the file waits too', async (t) => {
  const gateway = await start(t, policies('haiku'))
  const store = { postgres_url: database.url, max_connections: 7 }
  await reload(gateway, { ...policies('sonnet'), admin: {}, store }, false)
  await gateway.line(
    / error reload \(SIGHUP\): .*: store, admin \(there or not\) cannot change while the gateway runs/,
  )
  assert.equal((await call(gateway)).status, 400)
})

test('reload: another provider that cannot be reached is no reason to lose the one in use', async (t) => {
  const gateway = await start(t)
  upstream.always({ body: messageJson('Hello') })
  const oidc = {
    issuer: 'http://127.0.0.1:9',
    client_id: 'gateway',
    client_secret: 'gateway-secret',
  }
  await reload(gateway, { oidc }, false)
  await gateway.line(/ error reload \(SIGHUP\): the old configuration stays in use: /)
  assert.equal((await call(gateway)).status, 200)
})

test('reload: a signing secret is rotated without a restart', async (t) => {
  const gateway = await start(t)
  upstream.always({ body: messageJson('Hello') })
  const next = 'fedcba9876543210fedcba9876543210fedcba9876543210'
  await reload(gateway, { session: { jwt_secret: [next, sessionSecret] } })
  const iat = Math.floor(Date.now() / 1000)
  const claims = { sub: 'u', aud: 'claude-gateway', iat, exp: iat + 60, iss: gateway.url }
  for (const secret of [next, sessionSecret]) {
    const reply = await send(`${gateway.url}/v1/models`, { token: signToken(claims, secret) })
    assert.equal(reply.status, 200)
  }
  await reload(gateway, { session: { jwt_secret: next } })
  const old = await send(`${gateway.url}/v1/models`, { token: signToken(claims) })
  assert.equal(old.status, 401)
})

test('reload: fifty of them under load drop no call and leave nothing behind', async (t) => {
  const gateway = await start(t, policies('sonnet'))
  upstream.always({ body: messageJson('Hello') })
  const statuses = new Map<number, number>()
  let busy = true
  const load = Array.from({ length: 4 }, async () => {
    while (busy) {
      const { status } = await call(gateway)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  const descriptors = () => readdirSync(`/proc/${gateway.pid}/fd`).length
  const memory = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1])
  for (let round = 0; round < 10; round++) await reload(gateway, policies('sonnet', `x${round}`))
  const [openAt, residentAt] = [descriptors(), memory()]
  for (let round = 0; round < 40; round++) await reload(gateway, policies('sonnet', `y${round}`))
  busy = false
  await Promise.all(load)
  assert.deepEqual([...statuses.keys()], [200])
  assert.ok((statuses.get(200) ?? 0) > 50)
  // Idle connections to upstreams of replaced configurations close with them.
  for (let turn = 0; turn < 100 && descriptors() > openAt + 10; turn++) await sleep(50)
  assert.ok(descriptors() <= openAt + 10, `${openAt} descriptors became ${descriptors()}`)
  assert.ok(memory() < residentAt * 1.5 + 50_000, `${residentAt} kB became ${memory()} kB`)
})
