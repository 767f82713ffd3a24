import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { createServiceAccount, describeGoogle } from '../../lib/identity/google-service-account.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  accountEmail,
  adminEmail,
  keyFile,
  startGoogleDirectory,
} from '../support/google-directory.ts'

async function setUp(t: TestContext) {
  const google = await startGoogleDirectory(t)
  const clock = createFakeClock()
  const { token: token_endpoint } = google.endpoints
  const account = createServiceAccount(google.settings, { fetchFrom: fetch, clock, token_endpoint })
  return { google, clock, account }
}

test('service account: an assertion for the administrator is traded for a token', async (t) => {
  const { google, clock, account } = await setUp(t)
  assert.equal(await account.token(), 'ya29.1')
  const now = Math.floor(clock.now() / 1000)
  assert.deepEqual(google.assertions, [
    {
      header: { alg: 'RS256', typ: 'JWT', kid: 'key-1' },
      claims: {
        scope: 'https://www.googleapis.com/auth/admin.directory.group.readonly',
        iss: accountEmail,
        sub: adminEmail,
        aud: google.endpoints.token,
        iat: now,
        exp: now + 300,
      },
    },
  ])
})

test('service account: a token serves until a minute before its end', async (t) => {
  const { google, clock, account } = await setUp(t)
  await account.token()
  await clock.advance(3_539_000)
  assert.equal(await account.token(), 'ya29.1')
  await clock.advance(2_000)
  assert.equal(await account.token(), 'ya29.2')
  assert.equal(google.assertions.length, 2)
})

test('service account: a token without a lifetime is used once', async (t) => {
  const { google, account } = await setUp(t)
  google.livesFor(undefined)
  assert.equal(await account.token(), 'ya29.1')
  assert.equal(await account.token(), 'ya29.2')
})

test('service account: many who wait share one trade', async (t) => {
  const { google, account } = await setUp(t)
  const tokens = await Promise.all(Array.from({ length: 20 }, () => account.token()))
  assert.deepEqual(new Set(tokens), new Set(['ya29.1']))
  assert.equal(google.assertions.length, 1)
})

test('service account: a refused token is replaced, a newer one is not thrown away', async (t) => {
  const { account } = await setUp(t)
  account.discard(await account.token())
  assert.equal(await account.token(), 'ya29.2')
  account.discard('ya29.1')
  assert.equal(await account.token(), 'ya29.2')
})

test('service account: a replaced key file is used from the next trade on', async (t) => {
  const { google, account } = await setUp(t)
  const { service_account_json_path } = google.settings
  account.discard(await account.token())
  writeFileSync(service_account_json_path, keyFile({ private_key_id: 'key-2' }))
  await account.token()
  assert.equal(google.assertions[1]?.header.kid, 'key-2')
  account.discard('ya29.2')
  writeFileSync(service_account_json_path, '{}')
  await assert.rejects(account.token(), /service_account_json_path: found no JSON object/)
})

test('service account: a refusal is told in Google’s words, an outage in the network’s', async (t) => {
  const { google, account } = await setUp(t)
  const body = '{"error":"unauthorized_client","error_description":"Client is unauthorized"}'
  google.misbehave('token', { status: 401, body })
  await assert.rejects(
    account.token(),
    /^Error: service account: expected 200 OK, got: 401 \(unauthorized_client: Client is unauthorized\)$/,
  )
  for (const odd of ['{}', '[]', '', '{"access_token":5}', '{"access_token":""}']) {
    google.misbehave('token', { status: 200, body: odd })
    await assert.rejects(account.token(), /^Error: service account: expected 200 OK/)
  }
  google.misbehave('token', 'reset')
  await assert.rejects(account.token(), /^Error: service account: /)
  google.misbehave('token', null)
  assert.equal(await account.token(), 'ya29.1', 'a failure is not remembered')
})

test('service account: silence is bounded', async (t) => {
  const { google, clock, account } = await setUp(t)
  google.misbehave('token', 'hang')
  const waiting = assert.rejects(account.token(), /service account/)
  await clock.advance(5000)
  await waiting
})

test('service account: both of Google’s forms of an error are read, bounded', () => {
  assert.equal(describeGoogle(500, null), 'expected 200 OK, got: 500')
  assert.equal(
    describeGoogle(403, { error: { code: 403, message: 'Not Authorized' } }),
    'expected 200 OK, got: 403 (Not Authorized)',
  )
  assert.equal(
    describeGoogle(400, { error: 'invalid_grant' }),
    'expected 200 OK, got: 400 (invalid_grant)',
  )
  assert.ok(describeGoogle(400, { error: 'x'.repeat(5000) }).length < 400)
})
