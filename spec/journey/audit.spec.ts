/** One of each audit line the process can write, with its fields in the order others read them. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type ClientReply, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream, messageJson } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
const webhook = await createFakeUpstream()
after(() => Promise.all([upstream.close(), webhook.close()]))
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: {
      access_control: { deny_cidrs: ['203.0.113.0/24'] },
      rate_limits: { device_authorization: { max: 40 }, device_verify: { max: 40 } },
      managed: {
        policies: [
          { match: { groups: ['eng'] }, cli: {}, desktop: {} },
          { match: {}, cli: {} },
        ],
      },
      cri: {
        enabled: true,
        audience: ['gateway'],
        org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
        policy: { webhook: { url: `${webhook.url}/judge`, fail_closed: false } },
      },
    },
  },
)
/** The same replica as a proxy sees it: the client's address is the one in the header. */
const proxied = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: {
      listen: {
        host: '127.0.0.1',
        port: 0,
        public_url: gateway.url,
        trusted_proxies: ['127.0.0.1'],
      },
      access_control: { deny_cidrs: ['203.0.113.0/24'] },
      rate_limits: { device_authorization: { max: 2 }, device_verify: { max: 2 } },
    },
  },
)
const listening = await proxied.line(/listening on http/)
const behind = `http://127.0.0.1:${/http:\/\/\S+?:(\d+)/.exec(listening)?.[1]}`
const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address })

type Source = typeof gateway
/** The line of `event` for which the given fields have these values; its fields must be these. */
async function expectLine(
  source: Source,
  event: string,
  values: Readonly<Record<string, unknown>>,
  fields: string,
): Promise<void> {
  const line = await source.audit(event, (each) =>
    Object.entries(values).every(([name, value]) => each[name] === value),
  )
  assert.deepEqual(Object.keys(line), ['ts', 'evt', ...fields.split(' ')], event)
  assert.match(String(line['ts']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const post = (url: string, fields: Record<string, string>, headers = {}): Promise<ClientReply> =>
  send(url, {
    body: new URLSearchParams(fields).toString(),
    headers: { ...form, 'sec-fetch-site': 'same-origin', ...headers },
  })

async function begin(): Promise<{ device_code: string; user_code: string }> {
  return JSON.parse((await post(`${gateway.url}/oauth/device_authorization`, {})).body)
}

async function approve(user_code: string) {
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${gateway.url}/device`, { user_code })
  const callback = `${gateway.url}/oauth/callback`
  const back = await browser.follow(reply.headers.get('location') ?? '', callback)
  return { browser, back: back.url }
}

test('audit: boot and access (F363)', async () => {
  await expectLine(gateway, 'config.load', {}, 'path sha256')
  await send(`${gateway.url}/v1/models`)
  const denied = 'request_id reason path client_ip'
  await expectLine(gateway, 'auth.denied', { reason: 'missing_token' }, denied)
  await send(`${gateway.url}/v1/models`, { token: 'nonsense' })
  await expectLine(gateway, 'auth.denied', { reason: 'invalid_token' }, denied)
  await send(`${behind}/healthz`, { headers: from('203.0.113.9') })
  const access = { reason: 'ip_denylist', client_ip: '203.0.113.9' }
  await expectLine(proxied, 'access.denied', access, 'request_id reason client_ip')
  for (const address of ['8.8.8.8', '9.9.9.9']) {
    await send(`${behind}/nope`, { headers: from(address) })
  }
  await expectLine(proxied, 'auth.denied', { client_ip: '9.9.9.9' }, denied)
  const publicClient = proxied.audits('access.public_client')
  assert.equal(publicClient.length, 1, 'once per process')
  assert.deepEqual(Object.keys(publicClient[0] ?? {}), ['ts', 'evt', 'request_id', 'client_ip'])
})

test('audit: the device grant, its refusals included (F363)', async () => {
  const plain = 'request_id result client_ip'
  const { user_code } = await begin()
  await expectLine(gateway, 'device.authorize', { result: 'success' }, plain)
  for (let request = 0; request < 3; request++) {
    await post(`${behind}/oauth/device_authorization`, {}, from('10.1.1.1'))
    await post(`${behind}/device`, { user_code: 'ZZZZ-ZZZZ' }, from('10.1.1.1'))
  }
  await expectLine(proxied, 'device.authorize', { result: 'rate_limited' }, plain)
  await expectLine(proxied, 'device.verify', { result: 'unknown_code' }, plain)
  await expectLine(proxied, 'device.verify', { result: 'rate_limited' }, plain)
  await post(`${gateway.url}/device`, { user_code }, { 'sec-fetch-site': 'cross-site' })
  await expectLine(gateway, 'device.verify', { result: 'csrf_rejected' }, plain)
  const { back } = await approve(user_code)
  await expectLine(gateway, 'device.verify', { result: 'redirect' }, plain)
  await send(back)
  await expectLine(gateway, 'device.callback', { result: 'browser_mismatch' }, plain)
  await post(`${gateway.url}/device/deny`, { user_code })
  const denied = 'request_id result client_ip requested_from requested_at'
  await expectLine(gateway, 'device.deny', { result: 'denied' }, denied)
})

test('audit: sessions are minted, refreshed and refused (F363)', async () => {
  const first = await begin()
  const { browser, back } = await approve(first.user_code)
  await browser.fetch(back)
  const minted = 'request_id result sub email client_ip ttl_hours'
  await expectLine(gateway, 'session.mint', { result: 'success' }, minted)
  const polled = await post(`${gateway.url}/oauth/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: first.device_code,
  })
  const { refresh_token } = JSON.parse(polled.body)
  const refresh = { grant_type: 'refresh_token', refresh_token }
  await post(`${gateway.url}/oauth/token`, refresh)
  await expectLine(gateway, 'session.refresh', { result: 'success' }, minted)
  await post(`${gateway.url}/oauth/token`, refresh)
  const failed = 'request_id result client_ip err'
  await expectLine(gateway, 'session.refresh', { result: 'fail' }, `${failed} step answer`)
  const second = await approve((await begin()).user_code)
  provider.misbehave('token', { kind: 'answer', status: 400, body: '{"error":"invalid_grant"}' })
  await second.browser.fetch(second.back)
  provider.misbehave('token', null)
  await expectLine(gateway, 'session.mint', { result: 'fail' }, failed)
})

test('audit: what callers get (F363)', async () => {
  const token = sessionToken(gateway.url)
  const other = sessionToken(gateway.url, { sub: 'u-x', groups: [] })
  await send(`${gateway.url}/managed/settings`, { token })
  const served = 'request_id sub email policy_index'
  await expectLine(gateway, 'managed.serve', { policy_index: 0 }, `${served} checksum`)
  await send(`${gateway.url}/user/bootstrap`, { token })
  await expectLine(gateway, 'desktop_bootstrap.serve', {}, served)
  await send(`${gateway.url}/user/bootstrap`, { token: other })
  const reason = { reason: 'policy_not_opted_in' }
  await expectLine(gateway, 'desktop_bootstrap.denied', reason, 'request_id reason sub email')
})

test('audit: calls, and what the operator’s webhook did to them (F363)', async () => {
  const token = sessionToken(gateway.url)
  const body = '{"model":"claude-sonnet-4-6","messages":[]}'
  const ask = (): Promise<ClientReply> => send(`${gateway.url}/v1/messages`, { token, body })
  webhook.next({ body: '{"block":false}' })
  upstream.next({ body: messageJson('Hello') })
  await ask()
  const call = await gateway.audit('inference', ({ status }) => status === 200)
  const fields = Object.keys(call)
  const documented =
    'ts evt request_id sub email path model upstream upstream_request_id upstream_cloud_request_id status ms'
  assert.deepEqual(fields.slice(0, 12), documented.split(' '))
  webhook.next({ body: '{"block":true}' })
  await ask()
  await expectLine(gateway, 'policy.blocked', { cause: 'policy_hit' }, 'request_id sub cause path')
  webhook.next({ status: 500, body: 'broken' })
  await ask()
  await expectLine(gateway, 'policy.skipped', {}, 'request_id sub cause path')
})
