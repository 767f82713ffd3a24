import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { brokenStore } from '../support/broken-store.ts'
import { startBench, type Approved, type CalledReply, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
afterEach(() => {
  bench.provider.signInAs('u-mara')
  bench.provider.rewriteTokens(null)
  bench.provider.misbehave('token', null)
})

const pending = '{"error":"authorization_pending"}'
const denied = '{"error":"access_denied"}'

interface UnderWay extends Approved {
  readonly gateway: Gateway
  readonly deviceCode: string
  readonly userCode: string
}

/** A sign-in up to the moment the browser comes back. */
async function underWay(gateway: Gateway = bench.gateway()): Promise<UnderWay> {
  const begun = await gateway.begin()
  return { gateway, ...begun, ...(await gateway.approve(begun.userCode)) }
}

function withQuery(query: string, change: Record<string, string | null>): string {
  const parameters = new URLSearchParams(query)
  for (const [name, value] of Object.entries(change)) {
    if (value === null) parameters.delete(name)
    else parameters.set(name, value)
  }
  return `?${parameters.toString()}`
}

const callback = (gateway: Gateway, query: string, cookie = ''): Promise<CalledReply> =>
  gateway.call('callback', {
    path: '/oauth/callback',
    query,
    requestId: 'r-1',
    headers: cookie === '' ? {} : { cookie },
  })

test('callback: a good answer signs in, clears the cookie, and is audited', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  const reply = await callback(gateway, query, cookie)
  assert.equal(reply.status, 200)
  assert.match(reply.text, /You are signed in/)
  assert.deepEqual(reply.headers, [
    ['set-cookie', '__Host-gw_dev=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/; Secure'],
    ['Content-Type', 'text/html; charset=utf-8'],
    [
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    ],
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
  ])
  assert.equal(
    gateway.recorder.lastAudit('session.mint'),
    '{"request_id":"r-1","result":"success","sub":"u-mara","email":"mara@example.com","client_ip":"192.0.2.1","ttl_hours":1}',
  )
  assert.equal((await gateway.poll(deviceCode)).status, 200)
})

test('callback: another browser is told so, and the device waits on', async () => {
  for (const cookie of ['', '__Host-gw_dev=wrong', 'gw_dev=x']) {
    const { gateway, deviceCode, query } = await underWay()
    const asked = bench.provider.requests('token').length
    const reply = await callback(gateway, query, cookie)
    assert.equal(reply.status, 200)
    assert.match(reply.text, /different browser/)
    assert.match(reply.header('set-cookie') ?? '', /^__Host-gw_dev=; Max-Age=0;/)
    assert.equal((await gateway.poll(deviceCode)).text, pending)
    assert.equal(
      gateway.recorder.lastAudit('device.callback'),
      '{"request_id":"r-1","result":"browser_mismatch","client_ip":"192.0.2.1"}',
    )
    assert.equal(bench.provider.requests('token').length, asked, 'the code was not tried')
  }
})

test('callback: a missing, foreign or tampered state is an expired link', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  const state = new URLSearchParams(query).get('state') ?? ''
  for (const broken of [
    null,
    'zzz',
    `${state.slice(0, -4)}AAAA`,
    state.replace(/^[^.]+/, Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url')),
    'x'.repeat(10_000),
  ]) {
    const reply = await callback(gateway, withQuery(query, { state: broken }), cookie)
    assert.equal(reply.status, 200)
    assert.match(reply.text, /This link has expired/)
    assert.equal(reply.header('set-cookie'), undefined)
    assert.equal(
      gateway.recorder.lastAudit('device.callback'),
      '{"request_id":"r-1","result":"state_invalid","client_ip":"192.0.2.1"}',
    )
  }
  assert.equal((await gateway.poll(deviceCode)).text, pending)
  assert.match(
    (await callback(gateway, query, cookie)).text,
    /You are signed in/,
    'nothing is spoilt',
  )
})

test('callback: a state of another gateway’s secret is an expired link', async () => {
  const { query, cookie } = await underWay()
  const stranger = bench.gateway({
    session: { jwt_secret: ['a-wholly-different-secret-of-enough-length'], ttl_hours: 1 },
  })
  assert.match((await callback(stranger, query, cookie)).text, /This link has expired/)
})

test('callback: without a code, or with two, the link has expired and the device waits on', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  for (const broken of [
    withQuery(query, { code: null }),
    withQuery(query, { code: '' }),
    `${query}&code=b`,
  ]) {
    assert.match((await callback(gateway, broken, cookie)).text, /This link has expired/)
  }
  assert.equal((await gateway.poll(deviceCode)).text, pending)
})

test('callback: a form_post answer has no query, so its link has expired', async () => {
  const { gateway, query, cookie } = await underWay()
  const reply = await gateway.call('callback', {
    method: 'POST',
    headers: { cookie, 'sec-fetch-site': 'cross-site' },
    body: query.slice(1),
  })
  assert.equal(reply.status, 200)
  assert.match(reply.text, /This link has expired/)
})

test('callback: a second visit finds the code used, and spoils nothing', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  await callback(gateway, query, cookie)
  const asked = bench.provider.requests('token').length
  assert.match((await callback(gateway, query, cookie)).text, /was used already or has expired/)
  assert.equal(bench.provider.requests('token').length, asked)
  assert.equal((await gateway.poll(deviceCode)).status, 200)
  assert.match((await callback(gateway, query, cookie)).text, /was used already/)
})

test('callback: two visits at the same moment sign in once', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  const other = bench.gateway()
  const replies = await Promise.all([
    callback(gateway, query, cookie),
    callback(other, query, cookie),
  ])
  const titles = replies.map(({ text }) => /<h1>([^<]*)/.exec(text)?.[1] ?? '')
  assert.deepEqual(
    titles.toSorted((a, b) => a.localeCompare(b)),
    ['This code was used already or has expired', 'You are signed in'],
  )
  assert.equal((await gateway.poll(deviceCode)).status, 200)
})

test('callback: after denying, the answer comes too late', async () => {
  const { gateway, deviceCode, userCode, query, cookie } = await underWay()
  await gateway.call('deviceDeny', {
    method: 'POST',
    headers: { 'sec-fetch-site': 'same-origin' },
    body: `user_code=${userCode}`,
  })
  assert.match((await callback(gateway, query, cookie)).text, /was used already or has expired/)
  assert.equal((await gateway.poll(deviceCode)).text, denied)
})

test('callback: after ten minutes it is over', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  await gateway.clock.advance(600_000)
  assert.match((await callback(gateway, query, cookie)).text, /This link has expired/)
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"expired_token"}')
})

const failures: readonly [string, (gateway: Gateway) => void, RegExp][] = [
  [
    'a code the provider does not know',
    () =>
      bench.provider.misbehave('token', {
        kind: 'answer',
        status: 400,
        body: '{"error":"invalid_grant"}',
      }),
    /^invalid_grant$/,
  ],
  [
    'a client secret the provider refuses',
    () =>
      bench.provider.misbehave('token', {
        kind: 'answer',
        status: 401,
        body: '{"error":"invalid_client","error_description":"AADSTS7000215"}',
      }),
    /^invalid_client \(AADSTS7000215\)$/,
  ],
  [
    'a provider in trouble',
    () => bench.provider.misbehave('token', { kind: 'answer', status: 500, body: '<html>' }),
    /^expected 200 OK, got: 500$/,
  ],
  ['a cut connection', () => bench.provider.misbehave('token', { kind: 'reset' }), /./],
  [
    'a foreign audience',
    () => bench.provider.rewriteClaims((claims) => ({ ...claims, aud: 'x' })),
    /^aud mismatch, expected gateway, got: x$/,
  ],
  [
    'an unverified address',
    () => bench.provider.rewriteClaims((claims) => ({ ...claims, email_verified: 'false' })),
    /^id_token email is not verified$/,
  ],
]
for (const [what, arrange, reason] of failures) {
  test(`callback: ${what} ends the grant, is logged and audited, and shown to nobody`, async () => {
    const { gateway, deviceCode, query, cookie } = await underWay()
    arrange(gateway)
    const reply = await callback(gateway, query, cookie)
    assert.equal(reply.status, 200)
    assert.match(reply.text, /Sign-in could not be completed/)
    assert.doesNotMatch(reply.text, /invalid_|AADSTS|500|mismatch|verified/)
    assert.equal((await gateway.poll(deviceCode)).text, denied)
    assert.equal((await gateway.poll(deviceCode)).text, '{"error":"expired_token"}')
    const audit = gateway.recorder.audits.findLast(({ event }) => event === 'session.mint')
    assert.deepEqual(Object.keys(audit ?? {}), [
      'event',
      'request_id',
      'result',
      'client_ip',
      'err',
    ])
    assert.equal(audit?.['result'], 'fail')
    const err = audit?.['err']
    assert.ok(typeof err === 'string')
    assert.match(err, reason)
    assert.ok(gateway.recorder.lines.includes(`warn token exchange failed request_id=r-1: ${err}`))
  })
}

test('callback: gates end the grant as well', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay(
    bench.gateway({ oidc: { allowed_groups: ['finance'] } }),
  )
  assert.match((await callback(gateway, query, cookie)).text, /could not be completed/)
  assert.equal((await gateway.poll(deviceCode)).text, denied)
})

test('callback: the provider’s error ends the grant of the browser that approved', async () => {
  bench.provider.signInAs('cancel')
  const { gateway, deviceCode, query, cookie } = await underWay()
  const reply = await callback(gateway, query, cookie)
  assert.equal(reply.status, 200)
  assert.match(reply.text, /access_denied: The person chose to cancel\./)
  assert.equal((await gateway.poll(deviceCode)).text, denied)
  assert.equal(
    gateway.recorder.lastAudit('device.callback'),
    '{"request_id":"r-1","result":"provider_error","client_ip":"192.0.2.1","error":"access_denied"}',
  )
})

test('callback: the same error from another browser, or without a state, is only a page', async () => {
  bench.provider.signInAs('cancel')
  const { gateway, deviceCode, query } = await underWay()
  const stranger = await callback(gateway, query, '__Host-gw_dev=x')
  assert.match(stranger.text, /access_denied/)
  assert.match(gateway.recorder.lastAudit('device.callback') ?? '', /"result":"browser_mismatch"/)
  const bare = await callback(gateway, '?error=server_error')
  assert.equal(bare.status, 200)
  assert.match(bare.text, /Identity provider returned: server_error/)
  assert.match(gateway.recorder.lastAudit('device.callback') ?? '', /"result":"state_invalid"/)
  assert.equal((await gateway.poll(deviceCode)).text, pending)
})

test('callback: foreign error texts are escaped and cut', async () => {
  const gateway = bench.gateway()
  const error = new URLSearchParams({
    error: `<script>${'e'.repeat(500)}`,
    error_description: `"><img src=x>${'d'.repeat(5000)}`,
  })
  const { text } = await callback(gateway, `?${error.toString()}`)
  assert.doesNotMatch(text, /<script|<img/)
  assert.match(text, /&lt;script&gt;e+…: &quot;&gt;&lt;img src=x&gt;d+…/)
  assert.ok((/class="alert"[^>]*>([^<]*)/.exec(text)?.[1]?.length ?? 0) < 500)
  assert.ok((gateway.recorder.lastAudit('device.callback')?.length ?? 0) < 300)
})

test('callback: a slow provider is waited for ten seconds, then the grant ends', async () => {
  const { gateway, deviceCode, query, cookie } = await underWay()
  bench.provider.misbehave('token', { kind: 'hang' })
  const asked = bench.provider.requests('token').length
  const waiting = callback(gateway, query, cookie)
  const until = Date.now() + 10_000
  while (bench.provider.requests('token').length === asked) {
    assert.ok(Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await gateway.clock.advance(10_000)
  assert.match((await waiting).text, /could not be completed/)
  assert.equal((await gateway.poll(deviceCode)).text, denied)
  assert.match(gateway.recorder.lastAudit('session.mint') ?? '', /timed out after 10000 ms/)
})

test('callback: without the store it is a page with status 503, and works when reloaded', async () => {
  const { gateway, query, cookie } = await underWay()
  const reply = await callback(bench.gateway({ deps: brokenStore('refuses') }), query, cookie)
  assert.equal(reply.status, 503)
  assert.equal(reply.header('retry-after'), '5')
  assert.match(reply.text, /not available right now/)
  assert.equal(reply.header('set-cookie'), undefined)
  assert.match((await callback(gateway, query, cookie)).text, /You are signed in/)
})
