/** What only the whole process shows while it starts and runs: commands, secrets, tables, logs. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { send } from '../support/client.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { type GatewayOptions, spawnGateway, startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionSecret, sessionToken } from '../support/session-token.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const ask =
  '{"model":"claude-sonnet-4-6","messages":[{"role":"user","content":"the-prompt-of-a-person"}]}'
const certificates = new URL('../fixtures/http/', import.meta.url)

const database = await createDatabase()
const issuer = (await startIdentityProvider({ after })).issuer
const upstream = await createFakeUpstream()
after(() => upstream.close())
const folder = mkdtempSync(join(tmpdir(), 'gateway-boot-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const options = (more: Partial<GatewayOptions> = {}): GatewayOptions => ({
  postgresUrl: database.url,
  issuer,
  upstream: upstream.url,
  ...more,
})

function file(name: string, content: string | object): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** A server that only counts who connects. */
async function countConnections(): Promise<{ port: number; count(): number }> {
  let count = 0
  const server = createServer((socket) => {
    count++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => void server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, count: () => count }
}

test('boot: check asks neither the network nor the database (B050)', async (t) => {
  const nobody = await countConnections()
  const at = `127.0.0.1:${nobody.port}`
  const path = file('checked.yaml', {
    listen: { host: '127.0.0.1', port: nobody.port, public_url: 'http://localhost:1' },
    oidc: { issuer: `http://${at}`, client_id: 'gw', client_secret: 's' },
    session: { jwt_secret: sessionSecret },
    store: { postgres_url: `postgres://u:p@${at}/db` },
    upstreams: [{ provider: 'anthropic', base_url: `http://${at}`, auth: { api_key: 'k' } }],
  })
  const checked = await spawnGateway(t, options({ args: ['check', '--config', path] }))
  assert.equal(await checked.exited, 0)
  assert.equal(nobody.count(), 0)
  assert.equal(checked.audits('config.load').length, 0)
})

test('boot: without --config it reads gateway.yaml of the folder it stands in (F001)', async () => {
  const inside = mkdtempSync(join(folder, 'inside-'))
  const bin = fileURLToPath(new URL('../../bin/gateway.ts', import.meta.url))
  const run = promisify(execFile)
  const check = () =>
    run(process.execPath, [bin, 'check'], {
      cwd: inside,
      env: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' },
    })
  await assert.rejects(check(), /no --config given, and there is no \.\/gateway\.yaml/)
  copyFileSync(
    new URL('../fixtures/config/minimal.yaml', import.meta.url),
    join(inside, 'gateway.yaml'),
  )
  assert.equal((await check()).stdout, 'gateway.yaml is valid\n')
})

test('boot: mistakes of six kinds are one report, and nothing was connected (B001 B002)', async (t) => {
  const nobody = await countConnections()
  const at = `127.0.0.1:${nobody.port}`
  const path = file(
    'mistaken.yaml',
    [
      'listen: { host: 127.0.0.1, prot: 1 }',
      `oidc: { issuer: "http://${at}", client_id: gw, client_secret: "\${NOT_SET_HERE}" }`,
      'session: { jwt_secret: hunter2-too-short }',
      `store: { postgres_url: "mysql://u:hunter3@${at}/db" }`,
      'upstreams: [{ provider: anthropc, auth: { api_key: k } }]',
      'admin: { admin_groups: [""] }',
      'listn: {}',
      '__proto__: { admin: {} }',
      '',
    ].join('\n'),
  )
  for (const args of [
    ['--config', path],
    ['check', '--config', path],
  ]) {
    const gateway = await spawnGateway(t, options({ args }))
    assert.equal(await gateway.exited, 1)
    const log = gateway.lines.join('\n')
    for (const entry of [
      /mistaken\.yaml:1:\d+: listen\.prot: .*port/,
      /mistaken\.yaml:2:\d+: oidc\.client_secret: .*NOT_SET_HERE/,
      /mistaken\.yaml:3:\d+: session\.jwt_secret: /,
      /mistaken\.yaml:4:\d+: store\.postgres_url: /,
      /mistaken\.yaml:5:\d+: upstreams\.0\.provider: .*anthropic/,
      /mistaken\.yaml:6:\d+: admin\.admin_groups\.0: /,
      /mistaken\.yaml:7:\d+: listn: .*listen/,
      /mistaken\.yaml:8:\d+: .*__proto__/,
    ]) {
      assert.match(log, entry)
    }
    assert.doesNotMatch(log, /hunter/)
    assert.equal(nobody.count(), 0)
  }
})

test('boot: an alias in a circle ends check at once (B057)', async (t) => {
  const path = file('circle.yaml', 'a: &a [*a]\n')
  const gateway = await spawnGateway(t, options({ args: ['check', '--config', path] }))
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.lines.join('\n'), /circle\.yaml:1:\d+/)
})

test('boot: a bad policy leaves an empty database empty (B008)', async (t) => {
  const empty = await createDatabase(t)
  const config = { managed: { policies: [{ cli: { zzz: 1 } }] } }
  const gateway = await spawnGateway(t, options({ postgresUrl: empty.url, config }))
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.lines.join('\n'), /zzz/)
  assert.deepEqual(await empty.query(`select 1 from pg_tables where schemaname = 'public'`), [])
})

test('boot: a second gateway never shares the port of the first (B004)', async (t) => {
  const first = await startGateway(t, options())
  const listen = { host: '127.0.0.1', port: first.port }
  const second = await spawnGateway(t, options({ config: { listen } }))
  assert.equal(await second.exited, 1)
  assert.match(second.lines.at(-1) ?? '', /EADDRINUSE/)
  assert.equal((await send(`${first.url}/healthz`)).body, 'ok')
})

test('boot: references reach the upstream followed, and lines have their form (F005–F008 F312–F315)', async (t) => {
  const secret = file('key.txt', ' sk-from-a-file\n')
  const gateway = await startGateway(
    t,
    options({
      config: {
        upstreams: [
          {
            provider: 'anthropic',
            base_url: upstream.url,
            auth: { api_key: `\${file:${secret}}` },
            headers: {
              'X-Longer': 'Bearer ${T}',
              'X-Literal': '$T ${T:-d} $${T}',
              'X-Inside': `at \${file:${secret}}`,
            },
          },
        ],
      },
      environment: { T: 'token-1', CLAUDE_GATEWAY_LOG_LEVEL: 'info' },
    }),
  )
  const seen = upstream.requests.length
  const token = sessionToken(gateway.url)
  await send(`${gateway.url}/v1/messages`, { token, body: ask })
  const { headers } = await upstream.request(seen)
  assert.equal(headers['x-api-key'], 'sk-from-a-file')
  assert.equal(headers['x-longer'], 'Bearer token-1')
  assert.equal(headers['x-literal'], '$T ${T:-d} $token-1')
  assert.equal(headers['x-inside'], `at \${file:${secret}}`)
  await gateway.audit('inference')
  const [load] = gateway.audits('config.load')
  assert.deepEqual(Object.keys(load ?? {}), ['ts', 'evt', 'path', 'sha256'])
  const line = /^\[gateway\] \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) \S/
  for (const each of gateway.lines) {
    if (!each.startsWith('{')) assert.match(each, line)
  }
  assert.doesNotMatch(gateway.lines.join('\n'), /sk-from-a-file|token-1|the-prompt-of-a-person/)
})

test('boot: at level error the audit still speaks, and nobody else (F314 F315 F346)', async (t) => {
  const gateway = await spawnGateway(
    t,
    options({ environment: { CLAUDE_GATEWAY_LOG_LEVEL: 'error' } }),
  )
  const started = Date.now()
  const isUp = async (): Promise<boolean> => {
    try {
      return (await send(`${gateway.url}/healthz`)).status === 200
    } catch {
      return false
    }
  }
  while (!(await isUp())) assert.ok(Date.now() - started < 20_000)
  await send(`${gateway.url}/v1/messages`, { token: sessionToken(gateway.url), body: ask })
  await gateway.audit('inference')
  assert.equal(gateway.audits('config.load').length, 1)
  assert.deepEqual(
    gateway.lines.filter((line) => !line.startsWith('{')),
    [],
  )
  assert.doesNotMatch(gateway.lines.join('\n'), /the-prompt-of-a-person/)
})

test('boot: its own certificate is served, with HSTS (F013 F359)', async (t) => {
  const gateway = await startGateway(
    t,
    options({
      config: {
        listen: {
          host: '127.0.0.1',
          port: 0,
          public_url: 'https://localhost',
          tls: {
            cert: new URL('one.cert.pem', certificates).pathname,
            key: new URL('one.key.pem', certificates).pathname,
          },
        },
      },
    }),
  )
  const line = await gateway.line(/listening on https:/)
  const port = Number(/:(\d+)\/?$/.exec(line.trim())?.[1])
  const names = await new Promise<{ status?: number; raw: string[] }>((resolve, reject) => {
    const ca = readFileSync(new URL('one.cert.pem', certificates))
    const sent = request(
      { host: '127.0.0.1', port, path: '/healthz', ca, checkServerIdentity: () => undefined },
      (reply) => {
        reply.resume()
        resolve({ raw: reply.rawHeaders, ...(reply.statusCode && { status: reply.statusCode }) })
      },
    )
    sent.on('error', reject)
    sent.end()
  })
  assert.equal(names.status, 200)
  const at = names.raw.indexOf('Strict-Transport-Security')
  assert.equal(names.raw[at + 1], 'max-age=31536000; includeSubDomains')
  assert.equal(names.raw[at - 2], 'Cross-Origin-Opener-Policy')
  assert.equal(names.raw[at + 2], 'x-request-id')
})

test('boot: without listen.host it is 0.0.0.0, and public_url is asked for (F010 F011)', async (t) => {
  const refused = await spawnGateway(t, options({ config: { listen: {} } }))
  assert.equal(await refused.exited, 1)
  assert.match(refused.lines.join('\n'), /listen\.public_url/)
  const config = { listen: { port: 0, public_url: 'http://gateway.internal' } }
  const gateway = await startGateway(t, options({ config }))
  await gateway.line(/listening on http:\/\/0\.0\.0\.0:\d+/)
})

test('boot: it waits for the lock of migrations, which any replica may hold (F316)', async (t) => {
  const empty = await createDatabase(t)
  const holder = await empty.connect()
  await holder.query('select pg_advisory_lock(6775156)')
  const gateway = await spawnGateway(t, options({ postgresUrl: empty.url }))
  await gateway.line(/waiting for migration lock/)
  const waiting = `select 1 from pg_locks where locktype = 'advisory' and objid = 6775156 and not granted`
  while ((await empty.query(waiting)).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.deepEqual(await empty.query(`select 1 from pg_tables where tablename = 'spend'`), [])
  await holder.query('select pg_advisory_unlock(6775156)')
  await gateway.line(/migration 8 applied/)
  await gateway.line(/listening on http/)
})

/** From the first request of the device to its token. */
async function signIn(url: string): Promise<Record<string, unknown>> {
  const begun = await send(`${url}/oauth/device_authorization`, { body: '' })
  const { device_code, user_code } = JSON.parse(begun.body)
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${url}/device`, { user_code })
  const back = await browser.follow(reply.headers.get('location') ?? '', `${url}/oauth/callback`)
  await browser.fetch(back.url)
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  const polled = await send(`${url}/oauth/token`, {
    body: new URLSearchParams({ grant_type, device_code }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(polled.status, 200, polled.body)
  return JSON.parse(polled.body)
}

test('boot: a database of the reference is taken over, rows and all; without admin only kv is written (F318 F319 F358)', async (t) => {
  const used = await createDatabase(t)
  const first = await startGateway(t, options({ postgresUrl: used.url }))
  first.kill('SIGTERM')
  await first.exited
  await used.query(`insert into spend (principal, period, cents) values ('u-alice', '2026-11', 7)`)
  await used.query(
    `insert into spend_limits (id, scope_type, scope_id, amount) values ('spl_1', 'user', 'u', 5)`,
  )
  await used.query(`insert into principal_emails (principal, email) values ('u-alice', 'a@b.c')`)
  const gateway = await startGateway(t, options({ postgresUrl: used.url }))
  assert.ok(!gateway.lines.some((line) => /migration \d+ applied/.test(line)))
  const { access_token } = await signIn(gateway.url)
  await send(`${gateway.url}/v1/messages`, { token: String(access_token), body: ask })
  await gateway.audit('inference')
  const rows = async (table: string): Promise<number> =>
    (await used.query(`select 1 from ${table}`)).length
  assert.equal(await rows('spend'), 1)
  assert.equal(await rows('spend_limits'), 1)
  assert.equal(await rows('principal_emails'), 1)
  for (const table of ['admin_audit', 'principal_groups', 'pooled_spend']) {
    assert.equal(await rows(table), 0, table)
  }
  assert.equal(await rows('_migrations'), 8)
})

test('boot: under load there are no more connections than allowed (F030)', async (t) => {
  const own = await createDatabase(t)
  const rate_limits = { device_authorization: { max: 10_000 } }
  const gateway = await startGateway(t, options({ postgresUrl: own.url, config: { rate_limits } }))
  const connected = `select 1 from pg_stat_activity where datname = '${own.name}'
    and backend_type = 'client backend' and pid <> pg_backend_pid()`
  let isDone = false
  const load = Promise.all(
    Array.from({ length: 300 }, () =>
      send(`${gateway.url}/oauth/device_authorization`, { body: '' }),
    ),
  ).finally(() => (isDone = true))
  let most = 0
  while (!isDone) most = Math.max(most, (await database.query(connected)).length)
  for (const reply of await load) assert.equal(reply.status, 200)
  assert.ok(most >= 1 && most <= 5, `${most} connections`)
})

test('boot: role and password beside the URL win, whatever they hold (F028 F029)', async (t) => {
  const own = await createDatabase(t)
  const password = 'p@:/%'
  await own.query(`create role odd_${own.name} login password '${password}'`)
  await own.query(`grant all on schema public to odd_${own.name}`)
  const url = new URL(own.url)
  url.password = 'wrong'
  const store = { postgres_url: url.href, username: `odd_${own.name}`, password }
  const gateway = await startGateway(t, options({ config: { store } }))
  assert.equal((await send(`${gateway.url}/readyz`)).body, 'ready')
  gateway.kill('SIGKILL')
  await gateway.exited
  await own.query(`drop owned by odd_${own.name}`)
  await own.query(`drop role odd_${own.name}`)
})

test('boot: it runs on PostgreSQL 11, from first sign-in to an answer (F341)', async (t) => {
  const server = await startServer(t, { major: 11 })
  const old = await createDatabase(t, server.url)
  const gateway = await startGateway(t, options({ postgresUrl: old.url }))
  const { access_token } = await signIn(gateway.url)
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: String(access_token),
    body: ask,
  })
  assert.equal(reply.status, 200)
})

test('boot: readiness outlives the database for the grace and no longer (F032 F323 F348)', async (t) => {
  const { hostname, port } = new URL(database.url)
  const relay = await startTcpProxy(t, { host: hostname, port: Number(port) })
  const store = { postgres_url: relay.through(database.url), readiness_grace_seconds: 4 }
  const gateway = await startGateway(t, options({ config: { store } }))
  const ready = () => send(`${gateway.url}/readyz`)
  assert.equal((await ready()).status, 200)
  const startedAt = performance.now()
  await relay.refuse()
  assert.deepEqual([(await ready()).status, (await ready()).body], [200, 'ready'])
  while ((await ready()).status === 200) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(performance.now() - startedAt < 20_000)
  }
  const lasted = performance.now() - startedAt
  assert.ok(lasted > 3000, `${lasted} ms of grace`)
  assert.deepEqual([(await ready()).status, (await ready()).body], [503, 'store unavailable'])
  assert.equal((await send(`${gateway.url}/healthz`)).body, 'ok')
  await relay.forward()
  while ((await ready()).status !== 200) {
    assert.ok(performance.now() - startedAt < 40_000)
  }
})

test('boot: a session lives for ttl_hours, fractions included (F026)', async (t) => {
  const session = { jwt_secret: sessionSecret, ttl_hours: 0.01 }
  const short = await startGateway(t, options({ config: { session } }))
  const { access_token, expires_in } = await signIn(short.url)
  const { iat = 0, exp = 0 } = decodeJwt(String(access_token))
  assert.deepEqual([expires_in, exp - iat], [36, 36])
  const usual = await startGateway(t, options())
  assert.equal((await signIn(usual.url))['expires_in'], 3600)
})

test('boot: a sign-in begun on one replica is finished on another when the first is killed (F345)', async (t) => {
  const first = await startGateway(t, options())
  const public_url = first.url
  const listen = { host: '127.0.0.1', port: first.port, public_url }
  const begun = await send(`${first.url}/oauth/device_authorization`, { body: '' })
  const { device_code, user_code } = JSON.parse(begun.body)
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${first.url}/device`, { user_code })
  const callback = `${first.url}/oauth/callback`
  const back = await browser.follow(reply.headers.get('location') ?? '', callback)
  first.kill('SIGKILL')
  await first.exited
  // Where a load balancer would send the browser: same address, another process.
  const second = await startGateway(t, options({ config: { listen } }))
  const done = await browser.fetch(back.url)
  assert.match(await done.text(), /You are signed in/)
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  const polled = await send(`${public_url}/oauth/token`, {
    body: new URLSearchParams({ grant_type, device_code }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  assert.equal(polled.status, 200)
  const token = JSON.parse(polled.body).access_token
  assert.equal((await send(`${public_url}/v1/models`, { token })).status, 200)
  assert.equal(second.audits('session.mint').length, 1)
})
