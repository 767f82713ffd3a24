import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import type { Conversation } from '../../lib/identity/conversation.ts'
import { createGoogleGroups, googleEndpoints } from '../../lib/identity/google-groups.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { startGoogleDirectory } from '../support/google-directory.ts'
import { startBench, type Gateway } from '../support/sign-in.ts'

const bench = await startBench({ after })
const google = await startGoogleDirectory({ after })

const addresses = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `team-${index}@example.com`)

async function setUp(t: TestContext) {
  const google = await startGoogleDirectory(t)
  const { endpoints, settings } = google
  const stop = new AbortController()
  const lookUp = createGoogleGroups(settings, {
    fetchFrom: fetch,
    clock: createFakeClock(),
    endpoints,
  })
  const read = async (email = 'mara@example.com'): Promise<readonly string[] | string> => {
    const talk: Conversation = {
      requestId: 'r',
      signal: stop.signal,
      metadata: {
        issuer: 'https://idp',
        authorization_endpoint: 'https://idp/a',
        token_endpoint: 'https://idp/t',
        jwks_uri: 'https://idp/j',
        userinfo_endpoint: undefined,
        revocation_endpoint: undefined,
        token_endpoint_auth_methods_supported: undefined,
        scopes_supported: undefined,
        authorization_response_iss_parameter_supported: false,
      },
      step: 'claims',
    }
    const outcome = await lookUp(email, talk)
    if (outcome.ok) return outcome.value
    assert.equal(outcome.failure.step, 'google_groups')
    assert.equal(outcome.failure.refused, false, 'nobody is logged out by a lookup')
    return outcome.failure.reason
  }
  return { google, read, stop }
}

test('google groups: the addresses of the groups are the groups', async (t) => {
  const { google, read } = await setUp(t)
  google.groups.set('mara@example.com', ['eng@example.com', 'ops@example.com'])
  assert.deepEqual(await read(), ['eng@example.com', 'ops@example.com'])
  const [query] = google.lookups
  assert.equal(query?.get('userKey'), 'mara@example.com')
  assert.equal(query?.has('pageToken'), false)
})

test('google groups: somebody in no group has none', async (t) => {
  const { google, read } = await setUp(t)
  google.groups.set('mara@example.com', [])
  assert.deepEqual(await read(), [])
})

test('google groups: all pages are read, with one token', async (t) => {
  const { google, read } = await setUp(t)
  google.groups.set('mara@example.com', addresses(950))
  assert.deepEqual(await read(), addresses(950))
  assert.equal(google.lookups.length, 5)
  assert.equal(google.assertions.length, 1)
})

test('google groups: an address cannot add to the question', async (t) => {
  const { google, read } = await setUp(t)
  const odd = 'a&domain=x#?@example.com'
  google.groups.set(odd, ['eng@example.com'])
  assert.deepEqual(await read(odd), ['eng@example.com'])
})

test('google groups: a token that was taken back is replaced once', async (t) => {
  const { google, read } = await setUp(t)
  google.groups.set('mara@example.com', ['eng@example.com'])
  await read()
  google.takeBackTokens()
  assert.deepEqual(await read(), ['eng@example.com'])
  assert.equal(google.assertions.length, 2)
  google.misbehave('groups', { status: 401, body: '{"error":{"message":"no"}}' })
  assert.equal(await read(), 'google_groups: expected 200 OK, got: 401 (no)')
  assert.equal(google.assertions.length, 3, 'tried once more, not for ever')
})

test('google groups: some of the groups are never taken for all', async (t) => {
  const { google, read } = await setUp(t)
  assert.match(
    String(await read('nobody@example.com')),
    /got: 404 \(Resource Not Found: userKey\)$/,
  )
  const failures = [
    { status: 403, body: '{"error":{"message":"Not Authorized"}}' },
    { status: 500, body: '<html>' },
    { status: 200, body: '<html>' },
    { status: 200, body: '{"groups":"eng@example.com"}' },
    { status: 200, body: '{"groups":[{"email":"eng@example.com"},{"id":"x"}]}' },
    { status: 302, body: '' },
  ]
  for (const failure of failures) {
    google.misbehave('groups', failure)
    assert.match(String(await read()), /^google_groups: /, JSON.stringify(failure))
  }
  google.misbehave('groups', 'reset')
  assert.match(String(await read()), /^google_groups: /)
})

test('google groups: pages without end are given up', async (t) => {
  const { google, read } = await setUp(t)
  google.groups.set('mara@example.com', addresses(1))
  google.goInCircles()
  assert.equal(await read(), 'google_groups: more than 200 pages of groups')
  assert.equal(google.lookups.length, 200)
})

test('google groups: a lookup ends with the conversation it belongs to', async (t) => {
  const { google, read, stop } = await setUp(t)
  google.misbehave('groups', 'hang')
  setTimeout(() => stop.abort(new Error('too slow')), 50)
  assert.equal(await read(), 'google_groups: too slow')
})

test('google groups: the endpoints are Google’s', () => {
  for (const url of Object.values(googleEndpoints)) {
    assert.match(new URL(url).origin, /^https:\/\/[a-z0-9]+\.googleapis\.com$/)
  }
})

const groupsOf = (token: unknown): unknown =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()).groups

function gatewayWith(oidc: Record<string, unknown> = {}): Gateway {
  return bench.gateway({
    oidc: { google_groups: google.settings, ...oidc },
    deps: { google: { egress: { fetch }, endpoints: google.endpoints } },
  })
}

test('google groups: they are the session’s groups, and read again at every refresh', async () => {
  const gateway = gatewayWith({ allowed_groups: ['eng@example.com', 'ops@example.com'] })
  google.groups.set('mara@example.com', ['eng@example.com'])
  const { access_token, refresh_token } = await gateway.signIn()
  assert.deepEqual(groupsOf(access_token), ['eng@example.com'], 'instead of the provider’s')
  google.groups.set('mara@example.com', ['ops@example.com'])
  const renewed = await gateway.refresh(String(refresh_token))
  assert.deepEqual(groupsOf(renewed.json['access_token']), ['ops@example.com'])
  google.groups.set('mara@example.com', [])
  const left = await gateway.refresh(String(renewed.json['refresh_token']))
  assert.equal(left.status, 401)
  assert.equal(left.text, '{"error":"invalid_grant"}')
})

test('google groups: an outage of Google ends no session, and lets nobody in', async () => {
  const gateway = gatewayWith()
  google.groups.set('mara@example.com', ['eng@example.com'])
  const { refresh_token } = await gateway.signIn()
  google.misbehave('groups', { status: 503, body: '{"error":{"message":"Backend Error"}}' })
  const reply = await gateway.refresh(String(refresh_token))
  assert.equal(reply.status, 503)
  assert.equal(reply.text, '{"error":"temporarily_unavailable"}')
  assert.match(
    gateway.recorder.lines.join('\n'),
    /google_groups: expected 200 OK, got: 503 \(Backend Error\) \(at google_groups, answered temporarily_unavailable\)/,
  )
  const { deviceCode, userCode } = await gateway.begin()
  await gateway.finish(await gateway.approve(userCode))
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"access_denied"}')
  google.misbehave('groups', null)
  const again = await gateway.refresh(String(refresh_token))
  assert.equal(again.status, 200, 'although the provider rotated the token at the first try')
})

test('google groups: strangers are not looked up', async () => {
  const gateway = gatewayWith({ allowed_email_domains: ['example.org'] })
  const asked = google.lookups.length
  const { userCode } = await gateway.begin()
  await gateway.finish(await gateway.approve(userCode))
  assert.match(gateway.recorder.lastAudit('session.mint') ?? '', /email domain not allowed/)
  assert.equal(google.lookups.length, asked)
})

test('google groups: without an address there is nobody to look up', async () => {
  const gateway = gatewayWith({ email_claim: 'upn' })
  const { userCode } = await gateway.begin()
  await gateway.finish(await gateway.approve(userCode))
  assert.match(gateway.recorder.lastAudit('session.mint') ?? '', /google_groups needs an address/)
})
