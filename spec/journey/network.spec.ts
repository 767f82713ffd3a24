/** Ways out and in of the real process: forward proxies, private authorities, renewed certificates. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { connect as connectPlain, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { createForwardProxy } from '../support/forward-proxy.ts'
import { freePort, spawnGateway, startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const fixtures = join(import.meta.dirname, '../fixtures')
const read = (name: string): string => readFileSync(join(fixtures, name), 'utf8')

const database = await createDatabase()
const { issuer } = await startIdentityProvider({ after })
const issuerPort = new URL(issuer).port
const upstream = await createFakeUpstream()
after(() => upstream.close())
upstream.always({ headers: ['content-type', 'application/json'], body: messageJson('hi') })
const upstreamPort = new URL(upstream.url).port

const base = { postgresUrl: database.url, issuer, upstream: upstream.url }
const oidc = { issuer, client_id: 'gateway', client_secret: 'gateway-secret' }
const ask = '{"model":"claude-sonnet-4-6","max_tokens":1,"messages":[]}'

test('network: requests and sign-in go through the proxy to addresses resolved here', async (t) => {
  const proxy = await createForwardProxy({ credentials: 'user:hunter2' })
  t.after(() => proxy.close())
  const url = proxy.url.replace('//', '//user:hunter2@')
  const gateway = await startGateway(t, {
    ...base,
    environment: { HTTPS_PROXY: url },
    config: { oidc: { ...oidc, issuer: `http://localhost:${issuerPort}`, use_proxy: true } },
  })
  // `localhost` may be ::1 or 127.0.0.1; the provider listens on the latter.
  assert.ok(proxy.targets.includes(`127.0.0.1:${issuerPort}`), proxy.targets.join())
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  assert.equal(reply.status, 200)
  assert.ok(proxy.targets.includes(`127.0.0.1:${upstreamPort}`), proxy.targets.join())
  assert.ok(gateway.lines.some((line) => line.includes(`forward proxy ${proxy.url}, NO_PROXY`)))
  const basic = Buffer.from('user:hunter2').toString('base64')
  assert.ok(!gateway.lines.some((line) => line.includes('hunter2') || line.includes(basic)))
})

test('network: a proxy that wants other credentials for sign-in is named, its password is not', async (t) => {
  const proxy = await createForwardProxy({ credentials: 'user:other' })
  t.after(() => proxy.close())
  const gateway = await spawnGateway(t, {
    ...base,
    environment: { HTTPS_PROXY: proxy.url.replace('//', '//user:hunter2@') },
    config: { oidc: { ...oidc, use_proxy: true } },
  })
  assert.equal(await gateway.exited, 1)
  await gateway.line(/the proxy http:\/\/127\.0\.0\.1:\d+ wants other credentials.*: 407/)
  assert.ok(!gateway.lines.some((line) => line.includes('hunter2')))
})

test('network: reports go to collectors through the proxy, but those in NO_PROXY', async (t) => {
  const proxy = await createForwardProxy()
  const far = await createFakeUpstream()
  const near = await createFakeUpstream()
  t.after(() => Promise.all([proxy.close(), far.close(), near.close()]))
  for (const collector of [far, near]) collector.always({ status: 200 })
  const nearUrl = near.url.replace('127.0.0.1', 'localhost')
  const gateway = await startGateway(t, {
    ...base,
    environment: { HTTP_PROXY: proxy.url, NO_PROXY: 'localhost' },
    config: { telemetry: { forward_to: [{ url: far.url }, { url: nearUrl }] } },
  })
  const reply = await send(`${gateway.url}/v1/metrics`, {
    token: sessionToken(gateway.url),
    headers: { 'content-type': 'application/json' },
    body: '{"resourceMetrics":[]}',
  })
  assert.equal(reply.status, 200)
  await Promise.all([far.request(0), near.request(0)])
  assert.deepEqual(proxy.targets, [new URL(far.url).host])
})

test('network: a proxy without use_proxy leaves sign-in direct, with a warning', async (t) => {
  const proxy = await createForwardProxy()
  t.after(() => proxy.close())
  const gateway = await startGateway(t, { ...base, environment: { https_proxy: proxy.url } })
  await gateway.line(/ warn oidc\.issuer: is reached directly although https_proxy is set/)
  assert.deepEqual(proxy.targets, [])
})

test('network: a proxy that refuses is the upstream’s failure, and the log says why', async (t) => {
  const proxy = await createForwardProxy({ answer: () => 403 })
  t.after(() => proxy.close())
  const gateway = await startGateway(t, { ...base, environment: { HTTPS_PROXY: proxy.url } })
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  assert.equal(reply.status, 502)
  assert.doesNotMatch(reply.body, /proxy|CONNECT|403/)
  await gateway.line(
    /EPROXY: the proxy http:\/\/127\.0\.0\.1:\d+ does not allow this connection: 403/,
  )
})

test('network: behind a boundary host names leave unresolved', async (t) => {
  const proxy = await createForwardProxy({
    resolve: (target) => ({ host: '127.0.0.1', port: Number(target.split(':').at(-1)) }),
  })
  t.after(() => proxy.close())
  const gateway = await startGateway(t, {
    ...base,
    upstream: `http://api.unresolvable.example:${upstreamPort}`,
    environment: {
      HTTPS_PROXY: proxy.url,
      CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY: '1',
      CLAUDE_GATEWAY_ALLOW_LOOPBACK: '',
    },
    config: { oidc: { ...oidc, issuer: `http://idp.unresolvable.example:${issuerPort}` } },
  })
  assert.deepEqual([...new Set(proxy.targets)], [`idp.unresolvable.example:${issuerPort}`])
  const reply = await send(`${gateway.url}/v1/messages`, {
    token: sessionToken(gateway.url),
    body: ask,
  })
  assert.equal(reply.status, 200)
  assert.equal(proxy.targets.at(-1), `api.unresolvable.example:${upstreamPort}`)
  assert.equal(gateway.lines.filter((line) => line.includes(' info network: ')).length, 1)
})

test('network: a private authority is trusted for the provider, which is refused without it', async (t) => {
  const tls = { cert: read('store/tls/here.crt'), key: read('store/tls/server.key') }
  const front = createServer(tls, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    void fetch(`${issuer}/.well-known/openid-configuration`)
      .then((answer) => answer.text())
      .then((text) => response.end(text))
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.after(() => front.closeAllConnections())
  t.after(() => void front.close())
  // A TCP server's address is always of this shape; node types also cover pipes.
  const { port } = front.address() as AddressInfo
  const secure = { ...oidc, issuer: `https://localhost:${port}` }
  const trusting = { ...secure, ca_cert_pem: read('store/tls/ca.crt') }
  await startGateway(t, { ...base, config: { oidc: trusting } })
  const strict = await spawnGateway(t, { ...base, config: { oidc: secure } })
  assert.equal(await strict.exited, 1)
  await strict.line(/UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
})

test('network: a renewed certificate is served without a restart, a bad one is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const tls = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  const put = (name: 'one' | 'two'): void => {
    copyFileSync(join(fixtures, 'http', `${name}.cert.pem`), tls.cert)
    copyFileSync(join(fixtures, 'http', `${name}.key.pem`), tls.key)
  }
  put('one')
  const port = await freePort()
  const listen = { host: '127.0.0.1', port, public_url: `https://localhost:${port}`, tls }
  const gateway = await startGateway(t, { ...base, config: { listen } })
  assert.equal(await nameServed(port), 'one.gateway.test')
  put('two')
  await gateway.line(/ info listen\.tls: new certificate from /)
  assert.equal(await nameServed(port), 'two.gateway.test')
  writeFileSync(tls.key, 'nonsense')
  gateway.kill('SIGHUP')
  await gateway.line(/ error listen\.tls: .*tls\.key: no PEM private key; the certificate in use/)
  assert.equal(await nameServed(port), 'two.gateway.test')
  put('one')
  gateway.kill('SIGHUP')
  for (let turn = 0; turn < 200 && (await nameServed(port)) !== 'one.gateway.test'; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(await nameServed(port), 'one.gateway.test')
  gateway.kill('SIGTERM')
  assert.equal(await gateway.exited, 0)
})

test('network: SIGHUP without a certificate ends nothing', async (t) => {
  const gateway = await startGateway(t, base)
  gateway.kill('SIGHUP')
  await gateway.line(/ info reload \(SIGHUP\): the configuration is unchanged/)
  assert.equal((await send(`${gateway.url}/healthz`, { method: 'GET' })).status, 200)
})

/** The common name in the certificate that a new connection is shown. */
async function nameServed(port: number): Promise<unknown> {
  const plain = connectPlain(port, '127.0.0.1')
  // The fixture certificates sign themselves; whose they are is all that is asked.
  const socket = connect({ socket: plain, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const name = socket.getPeerCertificate().subject.CN
  socket.destroy()
  return name
}
