import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { checkGoogleGroups } from '../../lib/doctor/google-groups.ts'
import type { Finding } from '../../lib/doctor/finding.ts'
import { resolveBySystem } from '../../lib/doctor/parts.ts'
import { createEgresses } from '../../lib/egress/purpose.ts'
import { assertOk, assertProblem, dead, loadPatient } from '../support/doctor.ts'
import { adminEmail, startGoogleDirectory } from '../support/google-directory.ts'

const directory = await startGoogleDirectory({ after })
directory.groups.set(adminEmail, ['admins@example.com', 'all@example.com'])
afterEach(() => {
  directory.misbehave('token', null)
  directory.misbehave('groups', null)
})

/** Of the provider nothing but its name is needed. */
const metadata = {
  issuer: dead,
  authorization_endpoint: dead,
  token_endpoint: dead,
  jwks_uri: dead,
  userinfo_endpoint: undefined,
  revocation_endpoint: undefined,
  token_endpoint_auth_methods_supported: undefined,
  scopes_supported: undefined,
  authorization_response_iss_parameter_supported: false,
}

async function ask(google_groups?: object): Promise<readonly Finding[]> {
  const oidc = { issuer: dead, client_id: 'gateway', client_secret: 's', google_groups }
  const { loaded, settings, clock } = loadPatient({ config: { oidc } })
  assert.ok(loaded.kind === 'ok', JSON.stringify(loaded))
  const { config } = loaded
  const egresses = createEgresses({ ...settings, clock }, config.oidc)
  try {
    const parts = { config, settings, egresses, clock, resolve: resolveBySystem }
    return await checkGoogleGroups(parts, metadata, directory.endpoints)
  } finally {
    await egresses.close()
  }
}

test('doctor Google groups: key, delegation and API are tried with the administrator', async () => {
  assertOk(await ask(directory.settings), 'Google groups', /admin@example\.com is in 2 groups/)
})

test('doctor Google groups: an API or a delegation that refuses fails with what to enable', async () => {
  const body = JSON.stringify({ error: { code: 403, message: 'Not Authorized to access this' } })
  directory.misbehave('groups', { status: 403, body })
  assertProblem(await ask(directory.settings), 'Google groups', {
    result: 'fail',
    seen: /Not Authorized/,
    fix: /domain-wide delegation/,
  })
  directory.misbehave('groups', null)
  directory.misbehave('token', { status: 401, body: '{"error":"unauthorized_client"}' })
  assertProblem(await ask(directory.settings), 'Google groups', {
    result: 'fail',
    seen: /unauthorized_client/,
    fix: /client id the scope/,
  })
})

test('doctor Google groups: without the key nothing is asked', async () => {
  const before = directory.lookups.length
  assert.deepEqual(await ask(), [])
  assert.equal(directory.lookups.length, before)
})
