import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Conversation } from '../../lib/identity/conversation.ts'
import { createIdentify } from '../../lib/identity/identify.ts'
import type { JsonObject } from '../../lib/identity/json-object.ts'
import type { OidcOptions } from '../../lib/identity/options.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { oidcDefaults } from '../support/oidc-options.ts'
import { createRecorder } from '../support/recorder.ts'

interface Setting {
  readonly oidc?: Partial<OidcOptions>
  /** What userinfo answers; undefined when it must not be asked. */
  readonly userinfo?: JsonObject
}

const metadata: Conversation['metadata'] = {
  issuer: 'https://idp',
  authorization_endpoint: 'https://idp/a',
  token_endpoint: 'https://idp/t',
  jwks_uri: 'https://idp/j',
  userinfo_endpoint: 'https://idp/me',
  revocation_endpoint: undefined,
  token_endpoint_auth_methods_supported: undefined,
  scopes_supported: undefined,
  authorization_response_iss_parameter_supported: false,
}

function setUp({ oidc = {}, userinfo }: Setting = {}) {
  const recorder = createRecorder()
  const clock = createFakeClock()
  const fetchFrom: typeof fetch = async () => {
    assert.ok(userinfo !== undefined, 'userinfo was asked')
    return Response.json(userinfo)
  }
  const identify = createIdentify(
    { ...oidcDefaults, ...oidc },
    { egress: { fetch: fetchFrom }, clock, log: recorder.log },
  )
  const run = async (claims: JsonObject | null): Promise<unknown> => {
    const talk: Conversation = {
      requestId: 'r',
      signal: new AbortController().signal,
      metadata,
      step: 'token_endpoint',
    }
    const outcome = await identify(claims, 'token', talk)
    return outcome.ok ? outcome.value : `${outcome.failure.step}: ${outcome.failure.reason}`
  }
  return { run, recorder, clock }
}

const claims = { sub: 'u', email: 'e@x.com', name: 'N', groups: ['g'] }

test('identify: a complete id_token is enough', async () => {
  assert.deepEqual(await setUp({ oidc: { userinfo_fallback: true } }).run(claims), {
    sub: 'u',
    email: 'e@x.com',
    name: 'N',
    groups: ['g'],
  })
})

test('identify: what is missing stays missing unless userinfo may be asked', async () => {
  const missing = { sub: 'u', email: undefined, name: undefined, groups: undefined }
  assert.deepEqual(await setUp().run({ sub: 'u' }), missing)
})

test('identify: userinfo fills address and groups, and nothing else', async () => {
  const userinfo = { sub: 'u', email: 'i@x.com', groups: ['i'], name: 'I', oid: 'o' }
  const { run } = setUp({ oidc: { userinfo_fallback: true }, userinfo })
  assert.deepEqual(await run({ sub: 'u' }), {
    sub: 'u',
    email: 'i@x.com',
    name: undefined,
    groups: ['i'],
  })
})

test('identify: the id_token wins over userinfo, claim by claim', async () => {
  const userinfo = { sub: 'u', email: 'i@x.com', groups: ['i'] }
  const { run } = setUp({ oidc: { userinfo_fallback: true }, userinfo })
  assert.deepEqual(await run({ sub: 'u', email: 'e@x.com' }), {
    sub: 'u',
    email: 'e@x.com',
    name: undefined,
    groups: ['i'],
  })
})

test('identify: a sign-in without a trustworthy userinfo fails', async () => {
  const oidc = { userinfo_fallback: true }
  assert.equal(
    await setUp({ oidc, userinfo: { sub: 'v', email: 'i@x.com' } }).run({ sub: 'u' }),
    'claims: userinfo sub missing or does not match id_token sub',
  )
})

test('identify: an unverified address is refused wherever it comes from', async () => {
  assert.equal(
    await setUp().run({ ...claims, email_verified: 'false' }),
    'claims: id_token email is not verified',
  )
  const userinfo = { sub: 'u', email: 'i@x.com', email_verified: false }
  assert.equal(
    await setUp({ oidc: { userinfo_fallback: true }, userinfo }).run({ sub: 'u' }),
    'claims: userinfo email is not verified',
  )
  assert.notEqual(
    typeof (await setUp({ oidc: { userinfo_fallback: true }, userinfo }).run({
      sub: 'u',
      email: 'e@x.com',
    })),
    'string',
    'an address that is not taken need not be verified',
  )
})

test('identify: a named principal replaces sub, and must be there', async () => {
  const oidc = { user_id_claim: 'oid' }
  const person = await setUp({ oidc }).run({ ...claims, oid: 'O-1' })
  assert.deepEqual(person, { sub: 'O-1', email: 'e@x.com', name: 'N', groups: ['g'] })
  for (const oid of [undefined, 5, '']) {
    assert.match(
      String(await setUp({ oidc }).run({ ...claims, oid })),
      /^claims: oidc\.user_id_claim names oid, which/,
    )
  }
})

test('identify: without an id_token userinfo is the only source, and is told so', async () => {
  const userinfo = { ...claims, email_verified: true }
  assert.deepEqual(await setUp({ userinfo }).run(null), {
    sub: 'u',
    email: 'e@x.com',
    name: 'N',
    groups: ['g'],
  })
  assert.match(
    String(await setUp({ userinfo: {} }).run(null)),
    /^userinfo_no_id_token: userinfo sub missing/,
  )
  assert.equal(
    await setUp({ userinfo: { ...claims, email_verified: false } }).run(null),
    'claims: userinfo email is not verified',
  )
})

test('identify: gates are the last word', async () => {
  assert.equal(
    await setUp({ oidc: { allowed_groups: ['other'] } }).run(claims),
    'claims: user is not a member of an allowed group',
  )
})

test('identify: the debug line has claim names of both sources, sorted, and no value', async () => {
  const userinfo = { sub: 'u', email: 'secret@x.com' }
  const { run, recorder } = setUp({ oidc: { userinfo_fallback: true }, userinfo })
  await run({ sub: 'u', iss: 'i', aud: 'a' })
  assert.deepEqual(recorder.lines, [
    'debug oidc id_token claim names request_id=r: aud,iss,sub; userinfo claim names: email,sub',
  ])
})

test('identify: groups left out by Entra ID are warned of, once an hour', async () => {
  const { run, recorder, clock } = setUp()
  const overflown = { sub: 'u', _claim_names: { groups: 'src1' } }
  const warnings = (): number => recorder.lines.filter((line) => line.startsWith('warn')).length
  await run(overflown)
  await run(overflown)
  assert.equal(warnings(), 1)
  assert.match(
    recorder.lines.find((line) => line.startsWith('warn')) ?? '',
    /"groups".*_claim_names/,
  )
  await clock.advance(3_600_000)
  await run(overflown)
  assert.equal(warnings(), 2)
})
