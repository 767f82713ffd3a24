import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import type { OidcOptions } from '../../lib/identity/options.ts'
import { createProvider, type Provider, type SignedIn } from '../../lib/identity/provider.ts'
import type { Outcome } from '../../lib/identity/outcome.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider, type TokenAnswer } from '../support/identity-provider.ts'
import { oidcDefaults } from '../support/oidc-options.ts'
import { createRecorder, type Recorder } from '../support/recorder.ts'

const fixtures = join(import.meta.dirname, '../fixtures/identity')
const redirect_uri = 'http://localhost:5/oauth/callback'
const code_verifier = 'v'.repeat(43)

const idp = await startIdentityProvider({ after })
let recorder: Recorder

function gateway(change: Partial<OidcOptions> = {}): Provider {
  recorder = createRecorder()
  const { issuer, client_id, client_secret } = idp
  const oidc = { ...oidcDefaults, issuer, client_id, client_secret, ...change }
  return createProvider(oidc, { egress: { fetch }, clock: systemClock, log: recorder.log })
}

/** Through the provider's pages to the code, and back. */
async function signIn(
  provider: Provider,
  change: { iss?: string | undefined; nonce?: string } = {},
): Promise<Outcome<SignedIn>> {
  const request = { redirect_uri, state: 's', nonce: 'n', code_verifier }
  const start = await provider.authorizationUrl(request)
  const { url } = await createHeadlessBrowser().follow(start, redirect_uri)
  const { searchParams } = new URL(url)
  const answer = {
    code: searchParams.get('code') ?? '',
    iss: searchParams.get('iss') ?? undefined,
    redirect_uri,
    nonce: 'n',
    code_verifier,
    ...change,
  }
  return provider.signIn(answer, 'request-1')
}

const without =
  (field: string) =>
  (answer: TokenAnswer): TokenAnswer =>
    Object.fromEntries(Object.entries(answer).filter(([name]) => name !== field))

const reasonOf = (outcome: Outcome<SignedIn>): string =>
  outcome.ok
    ? 'signed in'
    : `${outcome.failure.refused ? 'refused' : 'unavailable'} at ${outcome.failure.step}: ${outcome.failure.reason}`

test('provider: a code becomes a person and the provider’s own refresh token', async () => {
  const signedIn = await signIn(gateway())
  assert.ok(signedIn.ok)
  assert.deepEqual(signedIn.value.person, {
    sub: 'u-mara',
    email: 'mara@example.com',
    name: 'Mara Lindqvist',
    groups: ['engineering', 'platform-admins'],
  })
  assert.match(signedIn.value.refresh_token ?? '', /^[\w-]{40,}$/)
})

test('provider: the names of the claims are logged for debugging, no value ever', async () => {
  await signIn(gateway())
  const line = recorder.lines.find((each) => each.includes('claim names')) ?? ''
  assert.match(
    line,
    /^debug oidc id_token claim names request_id=request-1: aud,email,email_verified,exp,groups,iat,iss,name,nonce,sub$/,
  )
  assert.doesNotMatch(recorder.lines.join(), /mara/i)
})

test('provider: without PKCE no challenge is asked for and no verifier sent', async () => {
  const provider = gateway({ use_pkce: false })
  const url = await provider.authorizationUrl({
    redirect_uri,
    state: 's',
    nonce: 'n',
    code_verifier: undefined,
  })
  assert.equal(new URL(url).searchParams.has('code_challenge'), false)
})

test('provider: the secret travels as configured, or as the provider offers', async () => {
  await signIn(gateway())
  const posted = idp.requests('token').at(-1)
  assert.equal(posted?.form.get('client_secret'), 'gateway-secret')
  assert.equal(posted?.authorization, undefined)
  await signIn(gateway({ token_endpoint_auth_method: 'client_secret_basic' }))
  const basic = idp.requests('token').at(-1)
  assert.match(basic?.authorization ?? '', /^Basic /)
  assert.equal(basic?.form.has('client_secret'), false)
})

test('provider: a code works once', async () => {
  const provider = gateway()
  const start = await provider.authorizationUrl({
    redirect_uri,
    state: 's',
    nonce: 'n',
    code_verifier,
  })
  const { url } = await createHeadlessBrowser().follow(start, redirect_uri)
  const code = new URL(url).searchParams.get('code') ?? ''
  const answer = { code, iss: idp.issuer, redirect_uri, nonce: 'n', code_verifier }
  assert.equal((await provider.signIn(answer, 'r')).ok, true)
  assert.match(
    reasonOf(await provider.signIn(answer, 'r')),
    /^refused at token_endpoint: invalid_grant/,
  )
})

test('provider: the answer must be from the provider that was asked', async () => {
  const provider = gateway()
  assert.match(
    reasonOf(await signIn(provider, { iss: 'https://evil.example' })),
    /^refused at token_endpoint: iss mismatch, expected .*, got: https:\/\/evil\.example$/,
  )
  assert.match(
    reasonOf(await signIn(provider, { iss: undefined })),
    /iss missing from the response/,
  )
})

test('provider: a wrong nonce is refused', async () => {
  assert.match(
    reasonOf(await signIn(gateway(), { nonce: 'other' })),
    /^refused at token_endpoint: nonce mismatch/,
  )
})

test('provider: claims are checked as the id_token has them', async (t) => {
  t.after(() => idp.rewriteTokens(null))
  const provider = gateway()
  idp.rewriteClaims((claims) => ({ ...claims, aud: 'x' }))
  assert.match(reasonOf(await signIn(provider)), /aud mismatch, expected gateway, got: x/)
  idp.rewriteClaims((claims) => ({ ...claims, exp: 1 }))
  assert.match(reasonOf(await signIn(provider)), /JWT expired/)
  idp.rewriteTokens((answer) => ({
    ...answer,
    id_token: `${String(answer['id_token']).slice(0, -8)}AAAAAAAA`,
  }))
  assert.match(
    reasonOf(await signIn(provider)),
    /refused at token_endpoint: failed to validate JWT signature/,
  )
  idp.rewriteTokens(without('id_token'))
  assert.match(
    reasonOf(await signIn(provider)),
    /refused at token_endpoint: id_token not present in TokenSet/,
  )
  idp.rewriteTokens(without('refresh_token'))
  const bare = await signIn(provider)
  assert.equal(bare.ok && bare.value.refresh_token, undefined)
})

test('provider: gates stand at sign-in', async () => {
  assert.match(
    reasonOf(await signIn(gateway({ allowed_email_domains: ['corp.io'] }))),
    /^refused at claims: email domain not allowed$/,
  )
  assert.match(
    reasonOf(await signIn(gateway({ allowed_groups: ['finance'] }))),
    /^refused at claims: user is not a member of an allowed group$/,
  )
  assert.equal(reasonOf(await signIn(gateway({ allowed_groups: ['engineering'] }))), 'signed in')
})

test('provider: every trouble of the token endpoint is an outage with its reason', async (t) => {
  t.after(() => idp.misbehave('token', null))
  const provider = gateway()
  idp.misbehave('token', { kind: 'answer', status: 500, body: '<html>' })
  assert.equal(
    reasonOf(await signIn(provider)),
    'unavailable at token_endpoint: expected 200 OK, got: 500',
  )
  idp.misbehave('token', { kind: 'answer', status: 200, body: '<html>' })
  assert.match(reasonOf(await signIn(provider)), /^unavailable .*not a JSON object/)
  idp.misbehave('token', { kind: 'answer', status: 401, body: '{"error":"invalid_client"}' })
  assert.match(reasonOf(await signIn(provider)), /^unavailable .*invalid_client/)
  idp.misbehave('token', { kind: 'reset' })
  assert.match(reasonOf(await signIn(provider)), /^unavailable at token_endpoint: /)
})

test('provider: a refresh reads the person afresh and hands on the rotated token', async (t) => {
  const provider = gateway()
  const first = await signIn(provider)
  assert.ok(first.ok)
  t.after(() => idp.change('u-mara', { groups: ['engineering', 'platform-admins'] }))
  idp.change('u-mara', { groups: ['data-science'] })
  const renewed = await provider.renew(first.value.refresh_token ?? '', 'r')
  assert.ok(renewed.ok)
  assert.deepEqual(renewed.value.person.groups, ['data-science'])
  assert.notEqual(renewed.value.refresh_token, first.value.refresh_token)
  const again = await provider.renew(first.value.refresh_token ?? '', 'r')
  assert.match(reasonOf(again), /^refused at token_endpoint: invalid_grant/)
})

test('provider: without rotation the old refresh token goes on', async (t) => {
  t.after(() => idp.rewriteTokens(null))
  const provider = gateway()
  const first = await signIn(provider)
  assert.ok(first.ok)
  idp.rewriteTokens(without('refresh_token'))
  const renewed = await provider.renew(first.value.refresh_token ?? '', 'r')
  assert.equal(renewed.ok && renewed.value.refresh_token, first.value.refresh_token)
})

test('provider: a refresh sends the scope only when told to', async () => {
  for (const scope_on_refresh of [false, true]) {
    const provider = gateway({ scope_on_refresh, scopes: ['openid', 'email'] })
    const first = await signIn(provider)
    assert.ok(first.ok)
    await provider.renew(first.value.refresh_token ?? '', 'r')
    const { form } = idp.requests('token').at(-1) ?? {}
    assert.equal(form?.get('scope') ?? null, scope_on_refresh ? 'openid email' : null)
    assert.deepEqual([...(form?.keys() ?? [])].slice(0, 2), ['grant_type', 'refresh_token'])
  }
})

test('provider: a refresh without id_token reads userinfo, and drops groups it lacks', async (t) => {
  t.after(() => {
    idp.rewriteTokens(null)
    idp.misbehave('userinfo', null)
  })
  const provider = gateway()
  const first = await signIn(provider)
  assert.ok(first.ok)
  idp.rewriteTokens(without('id_token'))
  const renewed = await provider.renew(first.value.refresh_token ?? '', 'r')
  assert.ok(renewed.ok)
  assert.equal(renewed.value.person.email, 'mara@example.com')
  assert.deepEqual(renewed.value.person.groups, ['engineering', 'platform-admins'])

  idp.misbehave('userinfo', { kind: 'answer', status: 200, body: '{"sub":"u-mara"}' })
  const bare = await provider.renew(renewed.value.refresh_token ?? '', 'r')
  assert.ok(bare.ok)
  assert.deepEqual(bare.value.person, {
    sub: 'u-mara',
    email: undefined,
    name: undefined,
    groups: undefined,
  })

  idp.misbehave('userinfo', { kind: 'answer', status: 403, body: '{}' })
  assert.match(
    reasonOf(await provider.renew(bare.value.refresh_token ?? '', 'r')),
    /^unavailable at userinfo_no_id_token: userinfo: expected 200 OK, got: 403$/,
  )
})

test('provider: gates stand at every refresh', async (t) => {
  t.after(() => idp.change('u-mara', { claims: {} }))
  const provider = gateway({ allowed_groups: ['engineering'] })
  const first = await signIn(provider)
  assert.ok(first.ok)
  idp.change('u-mara', { claims: { email_verified: false } })
  assert.match(
    reasonOf(await provider.renew(first.value.refresh_token ?? '', 'r')),
    /^refused at claims: id_token email is not verified$/,
  )
})

test('provider: the form of the page may lead to the provider and where the operator says', async () => {
  assert.deepEqual(await gateway().formActionOrigins(), [idp.issuer])
  const more = gateway({ form_action_origins: ['https://sso.example.com/path', idp.issuer] })
  assert.deepEqual(await more.formActionOrigins(), [idp.issuer, 'https://sso.example.com'])
})

test('provider: ready warns of another issuer string and of missing refresh tokens', async () => {
  await gateway().ready()
  assert.deepEqual(recorder.lines, [])
  const url = `${idp.issuer}/.well-known/openid-configuration`
  await gateway({
    issuer: 'https://other.example',
    discovery_url: url,
    scopes: ['openid'],
  }).ready()
  assert.match(recorder.lines[0] ?? '', /^warn oidc\.issuer is https:\/\/other\.example, but/)
  assert.match(recorder.lines[1] ?? '', /^warn oidc\.scopes leaves out offline_access/)
})

test('provider: ready fails when nobody answers', async () => {
  await assert.rejects(
    gateway({ issuer: 'http://127.0.0.1:1' }).ready(),
    /^Error: oidc: discovery at http:\/\/127\.0\.0\.1:1\/\.well-known\/openid-configuration failed: /,
  )
})

test('provider: a client that has no secret proves itself by assertion, each time anew', async (t) => {
  const certificate_pem = readFileSync(join(fixtures, 'client-assertion.cert.pem'), 'utf8')
  const private_key_pem = readFileSync(join(fixtures, 'client-assertion.key.pem'), 'utf8')
  const jwk = createPublicKey(certificate_pem).export({ format: 'jwk' })
  const strict = await startIdentityProvider(t, { client_keys: [{ ...jwk, use: 'sig' }] })
  const oidc: OidcOptions = {
    ...oidcDefaults,
    issuer: strict.issuer,
    client_id: strict.client_id,
    client_secret: undefined,
    token_endpoint_auth_method: 'private_key_jwt',
    client_assertion: { private_key_pem, certificate_pem },
  }
  const deps = { egress: { fetch }, clock: systemClock, log: createRecorder().log }
  const provider = createProvider(oidc, deps)
  const signedIn = await signIn(provider)
  assert.ok(signedIn.ok, reasonOf(signedIn))
  const renewed = await provider.renew(signedIn.value.refresh_token ?? '', 'request-2')
  assert.ok(renewed.ok, reasonOf(renewed))
  const revoked = await provider.revoke(renewed.value.refresh_token ?? '', 'request-3')
  assert.equal(revoked.ok, true, 'at the revocation endpoint as well')

  const forms = [...strict.requests('token'), ...strict.requests('revocation')]
  const assertions = forms.map(({ form }) => form.get('client_assertion') ?? '')
  assert.equal(new Set(assertions).size, 3)
  for (const each of assertions) {
    assert.deepEqual(Object.keys(decodeProtectedHeader(each)), ['alg', 'typ', 'x5t', 'x5t#S256'])
  }
  const secret = createProvider(
    { ...oidc, client_secret: 'gateway-secret', token_endpoint_auth_method: 'client_secret_post' },
    deps,
  )
  assert.match(reasonOf(await signIn(secret)), /invalid_client/, 'this provider takes no secret')
})

for (const signing_alg of ['PS256', 'ES256', 'EdDSA'] as const) {
  test(`provider: one that signs with ${signing_alg} is believed when configured so`, async (t) => {
    const other = await startIdentityProvider(t, { signing_alg })
    const { issuer, client_id, client_secret } = other
    const from = (change: Partial<OidcOptions>): Provider =>
      gateway({ issuer, client_id, client_secret, ...change })
    const provider = from({ id_token_signed_response_alg: signing_alg })
    const signedIn = await signIn(provider)
    assert.ok(signedIn.ok, reasonOf(signedIn))
    const renewed = await provider.renew(signedIn.value.refresh_token ?? '', 'request-2')
    assert.ok(renewed.ok, reasonOf(renewed))
    assert.match(
      reasonOf(await signIn(from({}))),
      new RegExp(`unexpected JWT alg received, expected RS256, got: ${signing_alg}`),
    )
  })
}
