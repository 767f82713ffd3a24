/** Boot, outages and shutdown of the real process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { open, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageEvents } from '../support/fake-upstream.ts'
import { spawnGateway, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const ask = '{"model":"claude-sonnet-4-6","stream":true,"messages":[]}'

const database = await createDatabase()
const issuer = (await startIdentityProvider({ after })).issuer
const upstream = await createFakeUpstream()
after(() => upstream.close())
const options = (more: object = {}) => ({
  postgresUrl: database.url,
  issuer,
  upstream: upstream.url,
  ...more,
})

test('lifecycle: boot audits its configuration, migrates once and says where it listens', async (t) => {
  const first = await startGateway(t, options())
  const [load] = first.audits('config.load')
  assert.match(String(load?.['sha256']), /^[0-9a-f]{64}$/)
  assert.ok(first.lines.some((line) => line.includes(`oidc issuer ${issuer}`)))
  assert.ok(first.lines.some((line) => line.endsWith(' info upstreams 1: anthropic(anthropic)')))
  const second = await startGateway(t, options())
  assert.ok(second.lines.some((line) => line.includes('key 6775156')))
  assert.equal(second.lines.filter((line) => /migration \d+ applied/.test(line)).length, 0)
})

test('lifecycle: two replicas may migrate an empty database at once', async (t) => {
  const empty = await createDatabase(t)
  await Promise.all([
    startGateway(t, options({ postgresUrl: empty.url })),
    startGateway(t, options({ postgresUrl: empty.url })),
  ])
  const rows = await empty.query('select version from _migrations order by version')
  assert.deepEqual(
    rows.map(({ version }) => version),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
})

test('lifecycle: a busy port is an error, never shared', async (t) => {
  const holder = createServer()
  holder.listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.after(() => void holder.close())
  const address = holder.address()
  assert.ok(address !== null && typeof address === 'object')
  const gateway = await spawnGateway(
    t,
    options({ config: { listen: { host: '127.0.0.1', port: address.port } } }),
  )
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.lines.join('\n'), /EADDRINUSE/)
})

test('lifecycle: a bad configuration ends boot before anything is connected', async (t) => {
  const gateway = await spawnGateway(
    t,
    options({
      postgresUrl: 'postgres://nobody@127.0.0.1:1/none',
      config: { listn: {}, session: {} },
    }),
  )
  assert.equal(await gateway.exited, 1)
  const log = gateway.lines.join('\n')
  assert.match(log, /listn/)
  assert.match(log, /session\.jwt_secret/)
  assert.doesNotMatch(log, /attempt 1|Postgres/)
  assert.equal(gateway.audits('config.load').length, 0)
})

test('lifecycle: an identity provider that is down ends boot with the database untouched', async (t) => {
  const empty = await createDatabase(t)
  const gateway = await spawnGateway(
    t,
    options({ postgresUrl: empty.url, issuer: 'http://127.0.0.1:1' }),
  )
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.lines.at(-1) ?? '', / error apps gateway: .*ECONNREFUSED/)
  const tables = await empty.query("select 1 from pg_tables where schemaname = 'public'")
  assert.deepEqual(tables, [])
})

test('lifecycle: a database that is down is tried three times, then named without its credentials', async (t) => {
  const gateway = await spawnGateway(
    t,
    options({ postgresUrl: 'postgres://someone:hunter2@127.0.0.1:1/gateway?sslmode=disable' }),
  )
  assert.equal(await gateway.exited, 1)
  const log = gateway.lines.join('\n')
  for (const attempt of [1, 2]) assert.match(log, new RegExp(`attempt ${attempt} of 3`))
  assert.match(gateway.lines.at(-1) ?? '', /127\.0\.0\.1.*gateway.*disable/)
  assert.doesNotMatch(log, /hunter2/)
})

test('lifecycle: a database that goes away takes sign-in along and nothing else', async (t) => {
  const { hostname, port } = new URL(database.url)
  const relay = await startTcpProxy(t, { host: hostname, port: Number(port) })
  const gateway = await startGateway(t, options({ postgresUrl: relay.through(database.url) }))
  const token = sessionToken(gateway.url)
  for (const outage of ['refuse', 'hang'] as const) {
    if (outage === 'refuse') await relay.refuse()
    else relay.hang()
    const startedAt = performance.now()
    const [ready, health, sign, message] = await Promise.all([
      send(`${gateway.url}/readyz`),
      send(`${gateway.url}/healthz`),
      send(`${gateway.url}/oauth/device_authorization`, { body: '' }),
      send(`${gateway.url}/v1/messages`, { token, body: ask }),
    ])
    assert.deepEqual([ready.status, ready.body], [503, 'store unavailable'], outage)
    assert.equal(health.status, 200)
    assert.equal(sign.status, 503, outage)
    assert.deepEqual(JSON.parse(sign.body), { error: 'temporarily_unavailable' })
    assert.ok(Number(sign.headers['retry-after']) > 0)
    assert.equal(message.status, 200)
    // The bound is 3 s; the rest is for a busy machine.
    assert.ok(performance.now() - startedAt < 8000, outage)
    await relay.forward()
    while ((await send(`${gateway.url}/readyz`)).status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
})

test('lifecycle: SIGTERM lets an open stream finish, refuses new connections and exits 0', async (t) => {
  const gateway = await startGateway(t, options())
  const events = messageEvents('Hello', 3)
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: [events[0] ?? '', { waitMs: 1500 }, ...events.slice(1)],
  })
  const { head } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  const response = await head
  gateway.kill('SIGTERM')
  await gateway.line(/SIGTERM/)
  await assert.rejects(send(`${gateway.url}/healthz`), /ECONNREFUSED/)
  assert.equal(await readAll(response), events.join(''))
  assert.equal(await gateway.exited, 0)
  assert.equal(gateway.audits('inference').at(-1)?.['outcome'], 'complete')
})

test('lifecycle: when the drain window is over the rest is cut, said and audited', async (t) => {
  const gateway = await startGateway(
    t,
    options({ environment: { CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: '1200' } }),
  )
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: ['event: ping\ndata: {}\n\n', { ending: 'stall' }],
  })
  const { head } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  const response = await head
  gateway.kill('SIGTERM')
  await assert.rejects(readAll(response))
  assert.equal(await gateway.exited, 0)
  assert.match(gateway.lines.join('\n'), / warn drain window over after 1\.2s: cut 1 request/)
  assert.equal(gateway.audits('inference').length, 1)
})

test('lifecycle: a second signal cuts at once and still exits 0', async (t) => {
  const gateway = await startGateway(t, options())
  upstream.next({
    headers: ['content-type', 'text/event-stream'],
    body: ['event: ping\ndata: {}\n\n', { ending: 'stall' }],
  })
  const { head } = open(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  const response = await head
  response.on('error', () => {}) // cut below
  gateway.kill('SIGINT')
  await gateway.line(/SIGINT/)
  gateway.kill('SIGTERM')
  assert.equal(await gateway.exited, 0)
  assert.match(gateway.lines.join('\n'), /cut 1 request\(s\)/)
})

test('lifecycle: command-line mistakes, help, version and check have their exit codes', async (t) => {
  const run = async (...args: string[]): Promise<[number | string, string]> => {
    const gateway = await spawnGateway(t, options({ args }))
    return [await gateway.exited, gateway.lines.join('\n')]
  }
  assert.equal((await run('--help'))[0], 0)
  assert.equal((await run('--version'))[0], 0)
  const [code, text] = await run('--confg', 'x')
  assert.equal(code, 1)
  assert.match(text, /unknown option '--confg'; did you mean --config\?/)
  const [missing, why] = await run('--config', '/nowhere/gateway.yaml')
  assert.equal(missing, 1)
  assert.match(why, /\/nowhere\/gateway\.yaml/)
})

test('lifecycle: load-test mode refuses a database with recorded spend', async (t) => {
  const used = await createDatabase(t)
  const first = await startGateway(t, options({ postgresUrl: used.url }))
  first.kill('SIGTERM')
  await first.exited
  await used.query("insert into spend (principal, period, cents) values ('u', '2026-11', 1)")
  const gateway = await spawnGateway(
    t,
    options({ postgresUrl: used.url, config: { load_test_mode: { enabled: true } } }),
  )
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.lines.at(-1) ?? '', /load_test_mode/)
})

test('lifecycle: load-test mode answers without an upstream and says so', async (t) => {
  const gateway = await startGateway(
    t,
    options({
      config: { load_test_mode: { enabled: true, reply_seconds: 0, reply_tokens: 40 } },
    }),
  )
  assert.ok(gateway.lines.some((line) => /warn .*load_test_mode is on/.test(line)))
  const seen = upstream.requests.length
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
    headers: { 'x-load-test-user': '7' },
  })
  assert.match(reply.body, /event: message_stop/)
  assert.equal(upstream.requests.length, seen)
  const line = await gateway.audit('inference')
  assert.deepEqual(
    [line['sub'], line['load_test'], line['output_tokens']],
    ['u-alice#load-7', true, 40],
  )
})
