import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { decodeJwt } from 'jose'
import { brokenStore } from '../support/broken-store.ts'
import { startBench, type CalledReply, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
const { provider } = bench
afterEach(() => {
  provider.rewriteTokens(null)
  for (const endpoint of ['token', 'jwks', 'userinfo'] as const) provider.misbehave(endpoint, null)
  provider.change('u-mara', {
    email: 'mara@example.com',
    groups: ['engineering', 'platform-admins'],
    claims: {},
  })
})

const post = (gateway: Gateway, body: string, headers = {}): Promise<CalledReply> =>
  gateway.call('token', { method: 'POST', requestId: 'r-1', headers, body })
const deviceGrant = 'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code'
const noStore = [
  ['Cache-Control', 'no-store'],
  ['Pragma', 'no-cache'],
]

const refused: readonly [string, string, string][] = [
  ['no grant_type', '', 'unsupported_grant_type'],
  ['an unknown grant_type', 'grant_type=password&username=a', 'unsupported_grant_type'],
  ['authorization_code', 'grant_type=authorization_code&code=x', 'unsupported_grant_type'],
  ['no device_code', deviceGrant, 'invalid_request'],
  ['an empty device_code', `${deviceGrant}&device_code=`, 'invalid_request'],
  ['an unknown device_code', `${deviceGrant}&device_code=${'x'.repeat(43)}`, 'expired_token'],
  ['an odd device_code', `${deviceGrant}&device_code=%00%ff%27`, 'expired_token'],
  ['no refresh_token', 'grant_type=refresh_token', 'invalid_request'],
  ['an empty refresh_token', 'grant_type=refresh_token&refresh_token=', 'invalid_request'],
]
for (const [what, body, error] of refused) {
  test(`token: ${what} is 400 ${error}`, async () => {
    const reply = await post(bench.gateway(), body)
    assert.equal(reply.status, 400)
    assert.equal(reply.text, `{"error":"${error}"}`)
    assert.deepEqual(reply.headers, [
      ...noStore,
      ['Content-Type', 'application/json;charset=utf-8'],
    ])
  })
}

test('token: only forms are read', async () => {
  for (const headers of [
    { 'content-type': 'application/json' },
    { 'content-type': 'text/plain' },
    { 'content-type': '' },
  ]) {
    const reply = await post(bench.gateway(), `${deviceGrant}&device_code=x`, headers)
    assert.equal(reply.text, '{"error":"invalid_request"}')
  }
})

test('token: parameters nobody asked for change nothing', async () => {
  const gateway = bench.gateway()
  const { deviceCode } = await gateway.begin()
  const reply = await post(
    gateway,
    `${deviceGrant}&device_code=${deviceCode}&client_id=x&scope=y&resource=z`,
  )
  assert.equal(reply.text, '{"error":"authorization_pending"}')
})

test('token: polls of a pending grant are told to wait, with the seconds', async () => {
  const gateway = bench.gateway()
  const { deviceCode } = await gateway.begin()
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"authorization_pending"}')
  const second = await gateway.poll(deviceCode)
  assert.equal(second.status, 429)
  assert.equal(second.text, '{"error":"slow_down"}')
  assert.equal(second.header('retry-after'), '5')
})

test('token: an approved grant is given at once, once, with the email last', async () => {
  const gateway = bench.gateway()
  const { deviceCode, userCode } = await gateway.begin()
  await gateway.poll(deviceCode)
  await gateway.finish(await gateway.approve(userCode))
  const reply = await gateway.poll(deviceCode)
  assert.equal(reply.status, 200)
  assert.match(
    reply.text,
    /^\{"access_token":"[\w.-]+","refresh_token":"[\w-]+","token_type":"Bearer","expires_in":3600,"email":"mara@example\.com"\}$/,
  )
  assert.deepEqual(reply.headers, [...noStore, ['Content-Type', 'application/json;charset=utf-8']])
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"expired_token"}')
})

test('token: without an address, or a refresh token, the fields are left out', async () => {
  provider.change('u-mara', { claims: { email: undefined } })
  provider.rewriteTokens((answer) =>
    Object.fromEntries(Object.entries(answer).filter(([name]) => name !== 'refresh_token')),
  )
  const answer = await bench.gateway().signIn()
  assert.deepEqual(Object.keys(answer), ['access_token', 'token_type', 'expires_in'])
})

test('token: of twenty parallel polls on two replicas one gets the token', async () => {
  const [one, other] = [bench.gateway(), bench.gateway()]
  const { deviceCode, userCode } = await one.begin()
  await one.finish(await one.approve(userCode))
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).poll(deviceCode)),
  )
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  const rest = replies.filter(({ status }) => status !== 200)
  assert.ok(rest.every(({ text }) => text === '{"error":"expired_token"}'))
})

test('token: a poll leaves its outcome in the debug log, and no code', async () => {
  const gateway = bench.gateway()
  const { deviceCode } = await gateway.begin()
  await post(gateway, `${deviceGrant}&device_code=${deviceCode}`)
  assert.ok(gateway.recorder.lines.includes('debug device poll request_id=r-1: pending'))
  assert.equal(gateway.recorder.lines.join().includes(deviceCode), false)
})

test('token: a refresh gives a new session with everything read afresh', async () => {
  const gateway = bench.gateway()
  const first = await gateway.signIn()
  provider.change('u-mara', { email: 'new@example.com', groups: ['contractors'] })
  const reply = await post(
    gateway,
    `grant_type=refresh_token&refresh_token=${String(first['refresh_token'])}`,
  )
  assert.equal(reply.status, 200)
  const claims = decodeJwt(String(reply.json['access_token']))
  assert.deepEqual([claims['email'], claims['groups']], ['new@example.com', ['contractors']])
  assert.equal(reply.json['email'], 'new@example.com')
  assert.notEqual(reply.json['refresh_token'], first['refresh_token'], 'the provider rotates')
  assert.equal(
    gateway.recorder.lastAudit('session.refresh'),
    '{"request_id":"r-1","result":"success","sub":"u-mara","email":"new@example.com","client_ip":"192.0.2.1","ttl_hours":1}',
  )
})

test('token: a refresh needs no database', async () => {
  const { refresh_token } = await bench.gateway().signIn()
  const gateway = bench.gateway({ deps: brokenStore('refuses') })
  assert.equal((await gateway.refresh(String(refresh_token))).status, 200)
})

test('token: the same refresh at the same moment is asked once and answered alike', async () => {
  const gateway = bench.gateway()
  const { refresh_token } = await gateway.signIn()
  const asked = provider.requests('token').length
  const replies = await Promise.all([1, 2, 3].map(() => gateway.refresh(String(refresh_token))))
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(new Set(replies.map(({ json }) => json['refresh_token'])).size, 1)
  assert.equal(provider.requests('token').length, asked + 1)
})

test('token: a changed principal is accepted and audited with the new sub', async () => {
  const gateway = bench.gateway()
  const { refresh_token } = await gateway.signIn()
  provider.rewriteClaims((claims) => ({ ...claims, sub: 'u-other' }))
  const reply = await gateway.refresh(String(refresh_token))
  assert.equal(decodeJwt(String(reply.json['access_token'])).sub, 'u-other')
  assert.match(gateway.recorder.lastAudit('session.refresh') ?? '', /"sub":"u-other"/)
})

const refusals: readonly [string, () => void, string, RegExp][] = [
  [
    'a person whose address is no longer verified',
    () => provider.change('u-mara', { claims: { email_verified: false } }),
    'claims',
    /^id_token email is not verified$/,
  ],
  [
    'a person who left the allowed group',
    () => provider.change('u-mara', { groups: ['other'] }),
    'claims',
    /^user is not a member of an allowed group$/,
  ],
  [
    'an id_token with a bad signature',
    () =>
      provider.rewriteTokens((answer) => ({
        ...answer,
        id_token: `${String(answer['id_token']).slice(0, -6)}AAAAAA`,
      })),
    'token_endpoint',
    /^failed to validate JWT signature$/,
  ],
  [
    'an expired id_token',
    () => provider.rewriteClaims((claims) => ({ ...claims, exp: 1 })),
    'token_endpoint',
    /^JWT expired/,
  ],
]
for (const [what, arrange, step, reason] of refusals) {
  test(`token: ${what} is refused a refresh with 401 invalid_grant`, async () => {
    const gateway = bench.gateway({ oidc: { allowed_groups: ['engineering'] } })
    const { refresh_token } = await gateway.signIn()
    arrange()
    const reply = await gateway.refresh(String(refresh_token))
    assert.equal(reply.status, 401)
    assert.equal(reply.text, '{"error":"invalid_grant"}')
    const audit = gateway.recorder.audits.findLast(({ event }) => event === 'session.refresh')
    assert.deepEqual(Object.keys(audit ?? {}), [
      'event',
      'request_id',
      'result',
      'client_ip',
      'err',
      'step',
      'answer',
    ])
    assert.ok(typeof audit?.['err'] === 'string')
    assert.match(audit['err'], reason)
    assert.deepEqual([audit?.['step'], audit?.['answer']], [step, 'invalid_grant'])
    assert.match(
      gateway.recorder.lines.join('\n'),
      new RegExp(
        `^warn refresh failed request_id=\\S+: .+ \\(at ${step}, answered invalid_grant\\)$`,
        'm',
      ),
    )
  })
}

test('token: a refresh token the provider does not know is 401 invalid_grant', async () => {
  const reply = await bench.gateway().refresh('made-up')
  assert.equal(reply.status, 401)
  assert.equal(reply.text, '{"error":"invalid_grant"}')
})

const json = (status: number, body: string) => ({ kind: 'answer', status, body }) as const
const outages: readonly [string, () => void, string][] = [
  ['a 500', () => provider.misbehave('token', json(500, '<html>')), 'token_endpoint'],
  [
    'an answer that is no JSON',
    () => provider.misbehave('token', json(200, '<html>')),
    'token_endpoint',
  ],
  ['a cut connection', () => provider.misbehave('token', { kind: 'reset' }), 'token_endpoint'],
  [
    'invalid_client',
    () => provider.misbehave('token', json(401, '{"error":"invalid_client"}')),
    'token_endpoint',
  ],
  [
    'slow_down',
    () => provider.misbehave('token', json(429, '{"error":"slow_down"}')),
    'token_endpoint',
  ],
  [
    'a userinfo refusal without id_token',
    () => {
      provider.rewriteTokens((answer) =>
        Object.fromEntries(Object.entries(answer).filter(([name]) => name !== 'id_token')),
      )
      provider.misbehave('userinfo', json(403, '{}'))
    },
    'userinfo_no_id_token',
  ],
]
for (const [what, arrange, step] of outages) {
  test(`token: ${what} on refresh is 503, which keeps the session`, async () => {
    const gateway = bench.gateway()
    const { refresh_token } = await gateway.signIn()
    arrange()
    const reply = await gateway.refresh(String(refresh_token))
    assert.equal(reply.status, 503)
    assert.equal(reply.text, '{"error":"temporarily_unavailable"}')
    assert.equal(reply.header('retry-after'), '5')
    assert.match(
      gateway.recorder.lastAudit('session.refresh') ?? '',
      new RegExp(`"step":"${step}","answer":"temporarily_unavailable"\\}$`),
    )
    assert.match(gateway.recorder.lines.join('\n'), new RegExp(`\\(at ${step}, `))
  })
}

test('token: keys that cannot be fetched on refresh are an outage too', async () => {
  const { refresh_token } = await bench.gateway().signIn()
  provider.misbehave('jwks', { kind: 'reset' })
  assert.equal((await bench.gateway().refresh(String(refresh_token))).status, 503)
})

for (const seconds of [5, 30]) {
  test(`token: a provider that takes ${seconds} s never logs anybody out`, async () => {
    const gateway = bench.gateway()
    const { refresh_token } = await gateway.signIn()
    // Five seconds of ours pass while the provider thinks; it answers then, or never does.
    provider.misbehave('token', seconds === 5 ? { kind: 'delay', ms: 300 } : { kind: 'hang' })
    const asked = provider.requests('token').length
    const waiting = gateway.refresh(String(refresh_token))
    const until = Date.now() + 10_000
    while (provider.requests('token').length === asked) {
      assert.ok(Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await gateway.clock.advance(Math.min(seconds, 10) * 1000)
    const { status, text } = await waiting
    assert.equal(status, seconds === 5 ? 200 : 503, text)
  })
}

test('token: refresh tokens appear in no log and no audit line', async () => {
  const gateway = bench.gateway()
  const { refresh_token, access_token } = await gateway.signIn()
  const { json: renewed } = await gateway.refresh(String(refresh_token))
  const written = JSON.stringify([gateway.recorder.lines, gateway.recorder.audits])
  for (const secret of [
    refresh_token,
    access_token,
    renewed['refresh_token'],
    renewed['access_token'],
  ]) {
    assert.equal(written.includes(String(secret)), false)
  }
})

test('token: polls without a store are 503, refused or hanging', async () => {
  const refusing = bench.gateway({ deps: brokenStore('refuses') })
  assert.equal((await refusing.poll('x')).text, '{"error":"temporarily_unavailable"}')
  const hanging = bench.gateway({ deps: brokenStore('hangs') })
  const waiting = hanging.poll('x')
  await new Promise((resolve) => setImmediate(resolve))
  await hanging.clock.advance(2999)
  assert.equal((await waiting).status, 503)
})
