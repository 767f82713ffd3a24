import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { decodeJwt } from 'jose'
import { makeExchange } from '../support/exchange.ts'
import { publicUrl, startBench } from '../support/sign-in.ts'

const bench = await startBench({ after })

test('identity: a device signs in, and its token is accepted', async () => {
  const gateway = bench.gateway()
  await gateway.identity.ready()
  const answer = await gateway.signIn()
  assert.deepEqual(Object.keys(answer), [
    'access_token',
    'refresh_token',
    'token_type',
    'expires_in',
    'email',
  ])
  const token = String(answer['access_token'])
  const caller = await gateway.identity.authenticate(
    makeExchange({ headers: { authorization: `Bearer ${token}` } }),
  )
  assert.deepEqual(
    [caller.sub, caller.email, caller.groups],
    ['u-mara', 'mara@example.com', ['engineering', 'platform-admins']],
  )
  assert.equal(decodeJwt(token).iss, publicUrl)
})

test('identity: any replica with the same secret carries on', async () => {
  const [a, b, c] = [bench.gateway(), bench.gateway(), bench.gateway()]
  const { deviceCode, userCode } = await a.begin()
  const approved = await b.approve(userCode)
  assert.equal((await c.finish(approved)).status, 200)
  const { json } = await a.poll(deviceCode)
  const authorization = `Bearer ${String(json['access_token'])}`
  const caller = await b.identity.authenticate(makeExchange({ headers: { authorization } }))
  assert.equal(caller.sub, 'u-mara')
})

test('identity: a sign-in survives the rotation of the secret under way', async () => {
  const old = 'the-old-secret-of-more-than-thirty-two-chars'
  const next = 'the-next-secret-of-more-than-thirty-two-char'
  const before = bench.gateway({ session: { jwt_secret: [old], ttl_hours: 1 } })
  const after = bench.gateway({ session: { jwt_secret: [next, old], ttl_hours: 1 } })
  const { deviceCode, userCode } = await before.begin()
  const approved = await before.approve(userCode)
  await after.finish(approved)
  assert.equal((await after.poll(deviceCode)).status, 200)
})

test('identity: over https the cookie is bound to the host, over http it is not', async () => {
  const secure = await bench.gateway().begin()
  const { cookie } = await bench.gateway().approve(secure.userCode)
  assert.match(cookie, /^__Host-gw_dev=/)
  const plain = bench.gateway({ public_url: 'http://localhost:5' })
  const begun = await plain.begin()
  assert.match((await plain.approve(begun.userCode)).cookie, /^gw_dev=/)
})

test('identity: the billing tag of the configuration is minted', async () => {
  const answer = await bench.gateway({ billing_group_tag: 'team:a' }).signIn()
  assert.equal(decodeJwt(String(answer['access_token']))['billing_group_tag'], 'team:a')
})

test('identity: without public_url everything hangs on the Host header', async () => {
  const gateway = bench.gateway({ public_url: undefined })
  const headers = { host: 'localhost:9310' }
  const { json } = await gateway.call('discovery', { headers })
  assert.equal(json['token_endpoint'], 'http://localhost:9310/oauth/token')
  const begun = await gateway.call('deviceAuthorization', { method: 'POST', headers })
  assert.equal(begun.json['verification_uri'], 'http://localhost:9310/device')
})

test('identity: a claim that names the person does so at sign-in and at every refresh', async () => {
  const gateway = bench.gateway({ oidc: { user_id_claim: 'oid' } })
  const subOf = (token: unknown): unknown => decodeJwt(String(token)).sub
  bench.provider.rewriteClaims((claims) => ({ ...claims, oid: 'O-7' }))
  const { access_token, refresh_token } = await gateway.signIn()
  assert.equal(subOf(access_token), 'O-7')
  const renewed = await gateway.refresh(String(refresh_token))
  assert.equal(subOf(renewed.json['access_token']), 'O-7')
  bench.provider.rewriteClaims(null)
  const { deviceCode, userCode } = await gateway.begin()
  await gateway.finish(await gateway.approve(userCode))
  assert.equal((await gateway.poll(deviceCode)).text, '{"error":"access_denied"}')
  const refused = await gateway.refresh(String(renewed.json['refresh_token']))
  assert.equal(refused.text, '{"error":"invalid_grant"}')
  assert.match(gateway.recorder.lastAudit('session.refresh') ?? '', /user_id_claim names oid/)
})
