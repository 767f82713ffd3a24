import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { brokenStore } from '../support/broken-store.ts'
import { publicUrl, startBench, type CalledReply, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
const sameOrigin = { 'sec-fetch-site': 'same-origin' }
const limit = (max: number) => ({
  rate_limits: {
    device_authorization: { max: 1000, window_seconds: 600 },
    device_verify: { max, window_seconds: 600 },
  },
})

interface Posted {
  readonly headers?: Record<string, string>
  readonly clientAddress?: string
}

function post(
  gateway: Gateway,
  handler: 'deviceSubmit' | 'deviceDeny',
  userCode: string,
  { headers = sameOrigin, clientAddress = '192.0.2.1' }: Posted = {},
): Promise<CalledReply> {
  const body = new URLSearchParams({ user_code: userCode }).toString()
  return gateway.call(handler, { method: 'POST', headers, body, clientAddress, requestId: 'r-1' })
}

const results = (gateway: Gateway): unknown[] =>
  gateway.recorder.audits
    .filter(({ event }) => event === 'device.verify')
    .map(({ ['result']: result }) => result)

test('device form: approving leads to the provider with everything it needs', async () => {
  const gateway = bench.gateway({ oidc: { extra_auth_params: { prompt: 'login' } } })
  const { userCode } = await gateway.begin()
  const reply = await post(gateway, 'deviceSubmit', userCode)
  assert.equal(reply.status, 302)
  assert.deepEqual(
    reply.headers.map(([name]) => name),
    ['set-cookie', 'Location'],
  )
  assert.match(
    reply.header('set-cookie') ?? '',
    /^__Host-gw_dev=[\w-]{43}; Max-Age=600; HttpOnly; SameSite=Lax; Path=\/; Secure$/,
  )
  const location = new URL(reply.header('location') ?? '')
  assert.equal(location.origin, bench.provider.issuer)
  assert.deepEqual(
    [...location.searchParams.keys()],
    [
      'client_id',
      'scope',
      'response_type',
      'redirect_uri',
      'state',
      'nonce',
      'code_challenge',
      'code_challenge_method',
      'response_mode',
      'prompt',
    ],
  )
  assert.equal(location.searchParams.get('redirect_uri'), `${publicUrl}/oauth/callback`)
  assert.equal(location.searchParams.get('response_mode'), 'query')
  assert.equal(
    gateway.recorder.lastAudit('device.verify'),
    '{"request_id":"r-1","result":"redirect","client_ip":"192.0.2.1"}',
  )
})

test('device form: a pending code may be posted again, for another state and cookie', async () => {
  const gateway = bench.gateway()
  const { deviceCode, userCode } = await gateway.begin()
  const first = await gateway.approve(userCode)
  const second = await gateway.approve(userCode)
  assert.notEqual(first.cookie, second.cookie)
  await gateway.finish(first)
  assert.equal((await gateway.poll(deviceCode)).status, 200, 'the first stays valid')
})

test('device form: denying ends the grant, and the device hears it once', async () => {
  const gateway = bench.gateway()
  const { deviceCode, userCode } = await gateway.begin('198.51.100.7')
  const reply = await post(gateway, 'deviceDeny', userCode)
  assert.equal(reply.status, 200)
  assert.match(reply.text, /Sign-in denied/)
  assert.match(reply.header('content-security-policy') ?? '', /form-action 'self'; base-uri/)
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"access_denied"}')
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"expired_token"}')
  const asked = new Date(gateway.clock.now()).toISOString()
  assert.equal(
    gateway.recorder.lastAudit('device.deny'),
    `{"request_id":"r-1","result":"denied","client_ip":"192.0.2.1","requested_from":"198.51.100.7","requested_at":"${asked}"}`,
  )
})

test('device form: what is over is unknown: denied, approved, never there', async () => {
  const gateway = bench.gateway()
  const denied = await gateway.begin()
  await post(gateway, 'deviceDeny', denied.userCode)
  const approved = await gateway.begin()
  await gateway.finish(await gateway.approve(approved.userCode))
  for (const userCode of [denied.userCode, approved.userCode, 'BBBB-BBBB', '', 'x'.repeat(5000)]) {
    for (const handler of ['deviceSubmit', 'deviceDeny'] as const) {
      const reply = await post(gateway, handler, userCode)
      assert.equal(reply.status, 200)
      assert.match(reply.text, /role="alert"/)
      assert.equal(results(gateway).at(-1), 'unknown_code')
    }
  }
  assert.equal(
    (await gateway.poll(approved.deviceCode)).status,
    200,
    'denying later undoes nothing',
  )
})

const foreign: readonly Record<string, string>[] = [
  {},
  { 'sec-fetch-site': 'cross-site', origin: publicUrl },
  { 'sec-fetch-site': 'same-site', origin: publicUrl },
  { origin: 'https://evil.example' },
  { origin: 'null' },
  { origin: '' },
  { origin: `${publicUrl}/` },
  { referer: `${publicUrl}/device` },
]
for (const headers of foreign) {
  test(`device form: a post with ${JSON.stringify(headers)} is from another site`, async () => {
    const gateway = bench.gateway(limit(1))
    const { deviceCode, userCode } = await gateway.begin()
    const clientAddress = `2001:db8::${foreign.indexOf(headers) + 1}`
    for (const handler of ['deviceSubmit', 'deviceDeny'] as const) {
      const reply = await post(gateway, handler, userCode, { headers, clientAddress })
      assert.equal(reply.status, 200)
      assert.match(reply.text, /role="alert"[^>]*>\s*This request came from another site/)
      assert.equal(reply.header('set-cookie'), undefined)
    }
    assert.deepEqual(results(gateway), ['csrf_rejected', 'csrf_rejected'])
    assert.equal((await gateway.poll(deviceCode)).text, '{"error":"authorization_pending"}')
    const own = await post(gateway, 'deviceSubmit', userCode, { clientAddress })
    assert.equal(own.status, 302, 'refused posts are not counted')
  })
}

test('device form: Sec-Fetch-Site wins over Origin, and a person’s own doing is fine', async () => {
  const gateway = bench.gateway()
  const { userCode } = await gateway.begin()
  for (const headers of [
    { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
    { 'sec-fetch-site': 'none' },
    { origin: publicUrl },
  ]) {
    assert.equal((await post(gateway, 'deviceSubmit', userCode, { headers })).status, 302)
  }
})

test('device form: both forms count together per address, and the page says how long', async () => {
  const gateway = bench.gateway(limit(2))
  const { userCode } = await gateway.begin()
  const clientAddress = '192.0.2.50'
  await post(gateway, 'deviceSubmit', 'BBBB-BBBB', { clientAddress })
  await post(gateway, 'deviceDeny', 'BBBB-BBBB', { clientAddress })
  const third = await post(gateway, 'deviceSubmit', userCode, { clientAddress })
  assert.equal(third.status, 200)
  assert.match(third.text, /Too many attempts came from this network/)
  const seconds = Number(third.header('retry-after'))
  assert.ok(seconds > 590)
  assert.match(third.text, new RegExp(`Try again in ${Math.ceil(seconds / 60)} minutes\\.`))
  assert.deepEqual(results(gateway), ['unknown_code', 'unknown_code', 'rate_limited'])
  assert.match(
    gateway.recorder.lines.join('\n'),
    /^warn sign-in refused for 192\.0\.2\.50: .*rate_limits\.device_verify\.max$/m,
  )
  const elsewhere = { clientAddress: '192.0.2.51' }
  assert.equal((await post(gateway, 'deviceSubmit', userCode, elsewhere)).status, 302)
})

test('device form: the wait that the page names is the one of its Retry-After', async () => {
  const waits: readonly (readonly [window: number, words: (seconds: number) => string])[] = [
    [30, (seconds) => `${seconds} seconds`],
    [60, (seconds) => `${seconds} seconds`],
    [100, (seconds) => (seconds > 90 ? '2 minutes' : `${seconds} seconds`)],
    [5400, () => '90 minutes'],
    [86_400, () => '24 hours'],
  ]
  for (const [index, [window_seconds, words]] of waits.entries()) {
    const gateway = bench.gateway({
      rate_limits: {
        device_authorization: { max: 1000, window_seconds: 600 },
        device_verify: { max: 1, window_seconds },
      },
    })
    const clientAddress = `192.0.2.${60 + index}`
    const answers = await Promise.all(
      [1, 2].map(() => post(gateway, 'deviceSubmit', 'BBBB-BBBB', { clientAddress })),
    )
    const over = answers.find(({ text }) => /Too many attempts/.test(text))
    const seconds = Number(over?.header('retry-after'))
    assert.ok(seconds >= 1 && seconds <= window_seconds, String(window_seconds))
    assert.ok(over?.text.includes(`Try again in ${words(seconds)}.`), over?.text)
  }
})

test('device form: pages with a form may lead to the provider, and carry the notice', async () => {
  const gateway = bench.gateway({
    login_notice: '<b>hello</b>',
    oidc: { form_action_origins: ['https://sso.example.com'] },
  })
  const reply = await post(gateway, 'deviceSubmit', 'BBBB-BBBB')
  assert.deepEqual(reply.headers, [
    ['Content-Type', 'text/html; charset=utf-8'],
    [
      'Content-Security-Policy',
      `default-src 'none'; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'; form-action 'self' ${bench.provider.issuer} https://sso.example.com; base-uri 'none'`,
    ],
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
  ])
  assert.match(reply.text, /Notice from gw\.example\.com:<\/strong> &lt;b&gt;hello&lt;\/b&gt;/)
})

test('device form: a body that is no form is a code nobody knows', async () => {
  const gateway = bench.gateway()
  const headers = { ...sameOrigin, 'content-type': 'application/json' }
  const body = '{"user_code":"BCDF-GHJK"}'
  const reply = await gateway.call('deviceSubmit', { method: 'POST', headers, body })
  assert.equal(reply.status, 200)
  assert.deepEqual(results(gateway), ['unknown_code'])
})

test('device form: a store that is gone or hangs is a page with status 503', async () => {
  const refused = await post(bench.gateway({ deps: brokenStore('refuses') }), 'deviceSubmit', 'x')
  assert.equal(refused.status, 503)
  assert.equal(refused.header('retry-after'), '5')
  assert.match(refused.text, /not available right now/)

  const hanging = bench.gateway({ deps: brokenStore('hangs') })
  const waiting = post(hanging, 'deviceDeny', 'x')
  // The form is read first, in a turn of the event loop of its own.
  await new Promise((resolve) => setImmediate(resolve))
  await hanging.clock.advance(2999)
  assert.equal((await waiting).status, 503)
})
