/** Sign-in over real HTTP: a gateway process, a real provider, a headless browser. */
import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { send, type ClientReply } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'
import { createHeadlessBrowser, type HeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionSecret, signToken } from '../support/session-token.ts'

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const start = (config: Record<string, unknown> = {}): Promise<GatewayProcess> =>
  startGateway(
    { after },
    { postgresUrl: database.url, issuer: provider.issuer, upstream: upstream.url, config },
  )
/** One machine signs in all the time here. */
const generous = {
  rate_limits: { device_authorization: { max: 1000 }, device_verify: { max: 1000 } },
}
const gateway = await start(generous)

afterEach(() => {
  provider.signInAs('u-mara')
  provider.misbehave('token', null)
})

function post(url: string, form: Record<string, string>, headers = {}): Promise<ClientReply> {
  return send(url, {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })
}

const begin = async (url = gateway.url): Promise<{ deviceCode: string; userCode: string }> => {
  const { body } = await post(`${url}/oauth/device_authorization`, { surface: 'claude_code' })
  const { device_code, user_code } = JSON.parse(body)
  return { deviceCode: device_code, userCode: user_code }
}

const poll = (deviceCode: string, url = gateway.url): Promise<ClientReply> =>
  post(`${url}/oauth/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: deviceCode,
  })

/** From the page to the address the provider sends the browser back to. */
async function approve(
  browser: HeadlessBrowser,
  userCode: string,
  url = gateway.url,
): Promise<string> {
  const page = await browser.fetch(`${url}/device?user_code=${userCode}`)
  assert.match(await page.text(), new RegExp(userCode))
  const reply = await browser.post(`${url}/device`, { user_code: userCode })
  assert.equal(reply.status, 302)
  const callback = `${url}/oauth/callback`
  const back = await browser.follow(reply.headers.get('location') ?? '', callback)
  assert.ok(back.url.startsWith(callback), back.url)
  return back.url
}

async function signIn(url = gateway.url): Promise<Record<string, unknown>> {
  const { deviceCode, userCode } = await begin(url)
  const browser = createHeadlessBrowser()
  const done = await browser.fetch(await approve(browser, userCode, url))
  assert.match(await done.text(), /You are signed in/)
  const { status, body } = await poll(deviceCode, url)
  assert.equal(status, 200, body)
  return JSON.parse(body)
}

const models = (token: unknown, url = gateway.url): Promise<ClientReply> =>
  send(`${url}/v1/models`, { token: String(token) })

test('journey: a developer signs in by device grant and is let in', async () => {
  const discovery = await send(`${gateway.url}/.well-known/oauth-authorization-server`)
  const { device_authorization_endpoint, token_endpoint } = JSON.parse(discovery.body)
  assert.equal(device_authorization_endpoint, `${gateway.url}/oauth/device_authorization`)
  assert.equal(token_endpoint, `${gateway.url}/oauth/token`)
  const answer = await signIn()
  assert.equal(answer['email'], 'mara@example.com')
  const token = String(answer['access_token'])
  assert.equal(decodeJwt(token).iss, gateway.url)
  assert.equal(decodeProtectedHeader(token).alg, 'HS256')
  assert.equal((await models(token)).status, 200)
  const mint = await gateway.audit('session.mint', ({ result }) => result === 'success')
  assert.deepEqual(Object.keys(mint), [
    'ts',
    'evt',
    'request_id',
    'result',
    'sub',
    'email',
    'client_ip',
    'ttl_hours',
  ])
})

test('journey: sign-in answers carry the headers of the wire, in its order', async () => {
  const { rawHeaders } = await post(`${gateway.url}/oauth/device_authorization`, {})
  const names = rawHeaders.filter((_, index) => index % 2 === 0)
  assert.deepEqual(names.slice(0, 8), [
    'Cache-Control',
    'Pragma',
    'Content-Type',
    'X-Content-Type-Options',
    'X-Frame-Options',
    'Referrer-Policy',
    'Cross-Origin-Opener-Policy',
    'x-request-id',
  ])
})

test('journey: the person denies, and the device hears it once', async () => {
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${gateway.url}/device/deny`, { user_code: userCode })
  assert.match(await reply.text(), /Sign-in denied/)
  assert.equal((await poll(deviceCode)).body, '{"error":"access_denied"}')
  assert.equal((await poll(deviceCode)).body, '{"error":"expired_token"}')
  const line = await gateway.audit('device.deny')
  assert.deepEqual(Object.keys(line).slice(2), [
    'request_id',
    'result',
    'client_ip',
    'requested_from',
    'requested_at',
  ])
})

test('journey: the person cancels at the provider, and the device hears it', async () => {
  provider.signInAs('cancel')
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  const page = await browser.fetch(await approve(browser, userCode))
  assert.match(await page.text(), /access_denied: The person chose to cancel/)
  assert.equal((await poll(deviceCode)).body, '{"error":"access_denied"}')
})

test('journey: a code is good once: for the device, for the link, for the form', async () => {
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  const back = await approve(browser, userCode)
  const cookie = browser.cookies(gateway.url).get('gw_dev') ?? ''
  await browser.fetch(back)
  assert.equal((await poll(deviceCode)).status, 200)
  assert.equal((await poll(deviceCode)).body, '{"error":"expired_token"}')
  const replay = await send(back, { headers: { cookie: `gw_dev=${cookie}` } })
  assert.equal(replay.status, 200)
  assert.match(replay.body, /was used already/)
  const again = await browser.post(`${gateway.url}/device`, { user_code: userCode })
  assert.match(await again.text(), /not known or has expired/)
})

test('journey: a link finished in another browser signs nobody in', async () => {
  const { deviceCode, userCode } = await begin()
  const back = await approve(createHeadlessBrowser(), userCode)
  const stranger = await createHeadlessBrowser().fetch(back)
  assert.match(await stranger.text(), /another browser/i)
  assert.equal((await poll(deviceCode)).body, '{"error":"authorization_pending"}')
})

test('journey: a tampered state is an expired link', async () => {
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  const back = new URL(await approve(browser, userCode))
  const state = back.searchParams.get('state') ?? ''
  back.searchParams.set(
    'state',
    `${state.slice(0, 80)}${state.charAt(80) === 'A' ? 'g' : 'A'}${state.slice(81)}`,
  )
  assert.match(await (await browser.fetch(back.href)).text(), /This link has expired/)
  assert.equal((await poll(deviceCode)).body, '{"error":"authorization_pending"}')
})

test('journey: posts from another site do nothing', async () => {
  const { deviceCode, userCode } = await begin()
  for (const path of ['/device', '/device/deny']) {
    for (const headers of [
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example' },
      {},
    ]) {
      const reply = await post(`${gateway.url}${path}`, { user_code: userCode }, headers)
      assert.equal(reply.status, 200)
      assert.match(reply.body, /came from another site/)
    }
  }
  assert.equal((await poll(deviceCode)).body, '{"error":"authorization_pending"}')
})

test('journey: of twenty parallel polls on two replicas one gets the token', async () => {
  const replica = await start({
    ...generous,
    listen: { host: '127.0.0.1', port: 0, public_url: gateway.url },
  })
  const listening = await replica.line(/listening on http/)
  const other = `http://127.0.0.1:${/:(\d+)/.exec(listening.slice(listening.indexOf('http')))?.[1]}`
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  await browser.fetch(await approve(browser, userCode))
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      poll(deviceCode, index % 2 === 0 ? gateway.url : other),
    ),
  )
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  assert.equal(replies.filter(({ body }) => body === '{"error":"expired_token"}').length, 19)
})

test('journey: a refresh brings a new session and the provider’s next refresh token', async () => {
  const first = await signIn()
  const { status, body } = await post(`${gateway.url}/oauth/token`, {
    grant_type: 'refresh_token',
    refresh_token: String(first['refresh_token']),
  })
  assert.equal(status, 200)
  const answer = JSON.parse(body)
  assert.notEqual(answer.refresh_token, first['refresh_token'])
  assert.equal((await models(answer.access_token)).status, 200)
  const old = await post(`${gateway.url}/oauth/token`, {
    grant_type: 'refresh_token',
    refresh_token: String(first['refresh_token']),
  })
  assert.equal(old.status, 401)
  assert.equal(old.body, '{"error":"invalid_grant"}')
})

test('journey: a provider in trouble on refresh is 503 with a wait', async () => {
  const first = await signIn()
  provider.misbehave('token', { kind: 'reset' })
  const reply = await post(`${gateway.url}/oauth/token`, {
    grant_type: 'refresh_token',
    refresh_token: String(first['refresh_token']),
  })
  assert.equal(reply.status, 503)
  assert.equal(reply.headers['retry-after'], '5')
})

test('journey: secrets rotate without anybody noticing, until the old one is dropped', async () => {
  const next = 'the-next-secret-that-is-long-enough-for-all'
  const listen = { host: '127.0.0.1', port: 0, public_url: gateway.url }
  const session = (jwt_secret: string[]) => ({ listen, session: { jwt_secret } })
  const addressOf = async (replica: GatewayProcess): Promise<string> => {
    const line = await replica.line(/listening on http/)
    return `http://127.0.0.1:${/http:\/\/\S+:(\d+)/.exec(line)?.[1]}`
  }
  const { access_token } = await signIn()
  const during = await addressOf(await start(session([next, sessionSecret])))
  const behind = await addressOf(await start(session([next])))
  assert.equal((await models(access_token, during)).status, 200)
  const dropped = await models(access_token, behind)
  assert.equal(dropped.status, 401)
  assert.equal(dropped.headers['x-should-retry'], 'false')
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'u', aud: 'claude-gateway', iat: now, exp: now + 60, iss: gateway.url }
  assert.equal((await models(signToken(claims, next), behind)).status, 200)
})

test('journey: over the limit a network has to wait, and the log says what to change', async () => {
  const strict = await start({ rate_limits: { device_authorization: { max: 2 } } })
  await database.query(`DELETE FROM kv WHERE key LIKE 'rl:devauth:%'`)
  await begin(strict.url)
  await begin(strict.url)
  const third = await post(`${strict.url}/oauth/device_authorization`, {})
  assert.equal(third.status, 429)
  assert.ok(Number(third.headers['retry-after']) > 500)
  await strict.line(/sign-in refused .*rate_limits\.device_authorization\.max/)
  const audit = await strict.audit('device.authorize', ({ result }) => result === 'rate_limited')
  assert.equal(audit['client_ip'], '127.0.0.1')
})

test('journey: nothing secret is ever written to the log', async () => {
  const { deviceCode, userCode } = await begin()
  const browser = createHeadlessBrowser()
  const back = await approve(browser, userCode)
  const cookie = browser.cookies(gateway.url).get('gw_dev') ?? ''
  await browser.fetch(back)
  const answer = JSON.parse((await poll(deviceCode)).body)
  await models(answer.access_token)
  const query = new URL(back).searchParams
  const written = gateway.lines.join('\n')
  for (const secret of [
    deviceCode,
    cookie,
    answer.access_token,
    answer.refresh_token,
    query.get('code'),
    query.get('state'),
    'gateway-secret',
    sessionSecret,
  ]) {
    assert.equal(written.includes(String(secret)), false)
  }
})

test('journey: the session tells clients which tag names their billing group, also once it is another (F375)', async () => {
  const billed = await start({ ...generous, admin: { billing_group_tag: 'project' } })
  const tagOf = (token: unknown): unknown => decodeJwt(String(token))['billing_group_tag']
  const first = await signIn(billed.url)
  assert.equal(tagOf(first['access_token']), 'project')
  billed.reconfigure({ admin: { billing_group_tag: 'team' } })
  billed.kill('SIGHUP')
  await billed.line(/ reload \(SIGHUP\): in use now/)
  const { body } = await post(`${billed.url}/oauth/token`, {
    grant_type: 'refresh_token',
    refresh_token: String(first['refresh_token']),
  })
  assert.equal(tagOf(JSON.parse(body).access_token), 'team')
  assert.equal(tagOf((await signIn())['access_token']), undefined)
})
