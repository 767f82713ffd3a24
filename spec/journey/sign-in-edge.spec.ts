/** The edges of sign-in over real HTTP: boot, logout, networks behind proxies, odd people. */
import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { open, send, type ClientReply } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { freePort, spawnGateway, startGateway, type GatewayProcess } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { signToken } from '../support/session-token.ts'

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const options = {
  postgresUrl: database.url,
  issuer: provider.issuer,
  upstream: 'http://127.0.0.1:9',
}
const start = (config: Record<string, unknown> = {}): Promise<GatewayProcess> =>
  startGateway({ after }, { ...options, config })
const gateway = await start()
const loopback = { host: '127.0.0.1', public_url: 'http://gw.example.com' }

afterEach(() => {
  provider.misbehave('discovery', null)
  provider.rewriteClaims(null)
})

const post = (
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
  url = gateway.url,
): Promise<ClientReply> =>
  send(`${url}${path}`, {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

async function signIn(url = gateway.url): Promise<{ access_token: string; refresh_token: string }> {
  const begun = JSON.parse((await post('/oauth/device_authorization', {}, {}, url)).body)
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${url}/device`, { user_code: begun.user_code })
  const callback = `${url}/oauth/callback`
  const back = await browser.follow(reply.headers.get('location') ?? '', callback)
  await browser.fetch(back.url)
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: begun.device_code,
  }
  const { status, body } = await post('/oauth/token', grant, {}, url)
  assert.equal(status, 200, body)
  return JSON.parse(body)
}

test('sign-in edge: nothing is discovered before the whole gateway is up', async (t) => {
  provider.misbehave('discovery', { kind: 'delay', ms: 1500 })
  const booting = await spawnGateway(t, options)
  const discovery = `${booting.url}/.well-known/oauth-authorization-server`
  let refused = 0
  while (!booting.lines.some((line) => line.includes('listening on'))) {
    const status = await send(discovery).then(
      (reply) => reply.status,
      () => 'refused',
    )
    if (status === 'refused') refused++
    else assert.equal(status, 200)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.ok(refused > 0, 'nobody listened while it booted')
  assert.equal((await send(discovery)).status, 200)
})

test('sign-in edge: without a session every route for callers says not to try again', async () => {
  const expired = signToken({ sub: 'u', aud: 'claude-gateway', iss: gateway.url, exp: 1 })
  const routes = [
    ['POST', '/v1/messages'],
    ['POST', '/v1/messages/count_tokens'],
    ['GET', '/v1/models'],
    ['GET', '/managed/settings'],
    ['GET', '/user/bootstrap'],
    ['POST', '/v1/metrics'],
    ['POST', '/v1/logs'],
    ['POST', '/v1/traces'],
    ['GET', '/api/oauth/usage'],
  ]
  for (const [method = '', path = ''] of routes) {
    for (const headers of [
      {},
      { authorization: 'Bearer junk' },
      { authorization: `bearer ${expired}` },
      { authorization: `Bearer ${expired}` },
      { 'x-api-key': expired },
    ]) {
      const reply = await send(`${gateway.url}${path}`, { method, headers })
      const what = `${method} ${path} ${JSON.stringify(headers)}`
      assert.equal(reply.status, 401, what)
      assert.equal(reply.headers['x-should-retry'], 'false', what)
      assert.equal(JSON.parse(reply.body).error.message, 'invalid token', what)
    }
  }
  // Lines of the log come by a pipe of their own.
  await gateway.audit('auth.denied', () => gateway.audits('auth.denied').length === 45)
  for (const [, path] of routes) {
    assert.deepEqual(
      gateway
        .audits('auth.denied')
        .filter((line) => line['path'] === path)
        .map(({ reason }) => reason),
      ['missing_token', 'invalid_token', 'invalid_token', 'invalid_token', 'missing_token'],
      path,
    )
  }
})

test('sign-in edge: a logout as clients do it ends the session and the refresh token', async () => {
  const { access_token, refresh_token } = await signIn()
  assert.equal((await send(`${gateway.url}/v1/models`, { token: access_token })).status, 200)
  for (const form of [
    { token: access_token },
    { token: refresh_token, token_type_hint: 'refresh_token' },
  ]) {
    const reply = await post('/oauth/revoke', form)
    assert.equal(reply.status, 200)
    assert.equal(reply.body, '')
    assert.equal(reply.headers['cache-control'], 'no-store')
  }
  const refused = await send(`${gateway.url}/v1/models`, { token: access_token })
  assert.equal(refused.status, 401)
  assert.equal(refused.headers['x-should-retry'], 'false')
  const renewed = await post('/oauth/token', { grant_type: 'refresh_token', refresh_token })
  assert.equal(renewed.body, '{"error":"invalid_grant"}')
  await gateway.audit('session.revoke', ({ token }) => token === 'refresh_token')
  const log = gateway.lines.join('\n')
  for (const secret of [access_token, refresh_token]) assert.equal(log.includes(secret), false)
})

test('sign-in edge: a claimed address gives nobody a new allowance', async () => {
  const limits = { rate_limits: { device_authorization: { max: 2 } } }
  const direct = await start(limits)
  const statuses: number[] = []
  for (const last of [1, 2, 3]) {
    const headers = { 'x-forwarded-for': `203.0.113.${last}`, 'x-real-ip': `203.0.113.${last}` }
    statuses.push((await post('/oauth/device_authorization', {}, headers, direct.url)).status)
  }
  assert.equal(statuses.at(-1), 429, 'nobody vouches for the headers')
})

test('sign-in edge: behind one proxy each client has an allowance of its own', async () => {
  await database.query(`DELETE FROM kv WHERE key LIKE 'rl:%'`)
  const port = await freePort()
  await start({
    rate_limits: { device_authorization: { max: 2 } },
    listen: { ...loopback, port, trusted_proxies: ['127.0.0.1'] },
  })
  const url = `http://127.0.0.1:${port}`
  const begin = (forwarded: string): Promise<ClientReply> =>
    post('/oauth/device_authorization', {}, { 'x-forwarded-for': forwarded }, url)
  for (const last of [1, 2, 3, 4]) {
    assert.equal((await begin(`203.0.113.${last}`)).status, 200, 'different clients')
  }
  const statuses: number[] = []
  for (const claimed of [1, 2, 3]) {
    statuses.push((await begin(`198.51.100.${claimed}, 203.0.113.9`)).status)
  }
  assert.deepEqual(statuses, [200, 200, 429], 'what the client itself wrote counts nothing')
})

test('sign-in edge: what is reflected breaks neither header nor page', async () => {
  const odd = '"><script>x</script>\r\nSet-Cookie: a=b\u202E\u0000'
  const query = new URLSearchParams({
    user_code: odd,
    error: odd,
    error_description: odd,
    state: odd,
  })
  for (const path of ['/device', '/oauth/callback']) {
    const reply = await send(`${gateway.url}${path}?${query.toString()}`)
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['set-cookie'], undefined)
    assert.doesNotMatch(reply.body, /<script>x/)
  }
  const injected = open(`${gateway.url}/device`, { headers: { 'user-agent': 'a\tb' } })
  assert.equal((await injected.head).statusCode, 200)
  injected.request.destroy()
})

test('sign-in edge: somebody in five thousand groups can sign in and work', async () => {
  const groups = Array.from({ length: 5000 }, (_, index) => `group-${index}`)
  provider.rewriteClaims((claims) => ({ ...claims, groups }))
  const { access_token } = await signIn()
  const reply = await send(`${gateway.url}/v1/models`, { token: access_token })
  assert.equal(reply.status, 200)
})

test('sign-in edge: a gateway without a client secret shows its certificate, at boot and after', async (t) => {
  const file = (name: string): string =>
    readFileSync(join(import.meta.dirname, '../fixtures/identity', name), 'utf8')
  const certificate_pem = file('client-assertion.cert.pem')
  const private_key_pem = file('client-assertion.key.pem')
  const jwk = createPublicKey(certificate_pem).export({ format: 'jwk' })
  const strict = await startIdentityProvider(t, { client_keys: [{ ...jwk, use: 'sig' }] })
  const process = await startGateway(t, {
    ...options,
    issuer: strict.issuer,
    config: {
      oidc: {
        issuer: strict.issuer,
        client_id: strict.client_id,
        token_endpoint_auth_method: 'private_key_jwt',
        client_assertion: { private_key_pem, certificate_pem },
      },
    },
  })
  const thumbprint = new X509Certificate(certificate_pem).fingerprint.replaceAll(':', '')
  await process.line(
    new RegExp(
      `oidc: client authentication private_key_jwt; certificate CN=.+, SHA-1 thumbprint ${thumbprint}, expires \\d{4}-\\d\\d-\\d\\d`,
    ),
  )
  const { refresh_token } = await signIn(process.url)
  const form = { grant_type: 'refresh_token', refresh_token }
  assert.equal((await post('/oauth/token', form, {}, process.url)).status, 200)
  const log = process.lines.join('\n')
  for (const line of private_key_pem.split('\n').filter((each) => each.length > 20)) {
    assert.equal(log.includes(line), false)
  }
})
