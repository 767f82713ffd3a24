import assert from 'node:assert/strict'
import { createHash, createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import {
  chooseMethod,
  createClientAuthentication,
} from '../../lib/identity/client-authentication.ts'
import type { OidcOptions } from '../../lib/identity/options.ts'
import type { ProviderMetadata } from '../../lib/identity/provider-metadata.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { oidcDefaults } from '../support/oidc-options.ts'

// A throw-away pair, made for this spec alone.
const fixtures = join(import.meta.dirname, '../fixtures/identity')

const metadata: ProviderMetadata = {
  issuer: 'https://idp.example.com',
  authorization_endpoint: 'https://idp.example.com/auth',
  token_endpoint: 'https://idp.example.com/token',
  jwks_uri: 'https://idp.example.com/jwks',
  userinfo_endpoint: undefined,
  revocation_endpoint: undefined,
  token_endpoint_auth_methods_supported: undefined,
  scopes_supported: undefined,
  authorization_response_iss_parameter_supported: false,
}

async function authenticate(
  change: Partial<OidcOptions>,
): Promise<{ headers: Readonly<Record<string, string>>; form: URLSearchParams }> {
  const oidc = { ...oidcDefaults, client_id: 'gw', client_secret: 'se:cr et', ...change }
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'r' })
  const headers = await createClientAuthentication(oidc, createFakeClock())(form, metadata)
  return { headers, form }
}

test('client authentication: post puts both halves into the form, after the grant', async () => {
  const { headers, form } = await authenticate({ token_endpoint_auth_method: 'client_secret_post' })
  assert.deepEqual(headers, {})
  assert.equal(
    form.toString(),
    'grant_type=refresh_token&refresh_token=r&client_id=gw&client_secret=se%3Acr+et',
  )
})

test('client authentication: basic form-encodes both halves before joining them', async () => {
  const { headers, form } = await authenticate({
    client_id: 'g:w',
    token_endpoint_auth_method: 'client_secret_basic',
  })
  const decoded = Buffer.from(headers['authorization']?.slice('Basic '.length) ?? '', 'base64')
  assert.equal(decoded.toString(), 'g%3Aw:se%3Acr+et')
  assert.equal(form.has('client_secret'), false)
})

test('client authentication: unset, the provider’s offer decides', () => {
  const choose = (supported: readonly string[] | undefined) =>
    chooseMethod({}, { token_endpoint_auth_methods_supported: supported })
  assert.equal(choose(['client_secret_basic', 'client_secret_post']), 'client_secret_post')
  assert.equal(choose(['client_secret_basic']), 'client_secret_basic')
  assert.equal(choose(['private_key_jwt']), 'client_secret_basic')
  assert.equal(choose(undefined), 'client_secret_basic', 'the default of RFC 8414')
})

test('client authentication: set, nothing is negotiated', () => {
  assert.equal(
    chooseMethod(
      { token_endpoint_auth_method: 'client_secret_basic' },
      { token_endpoint_auth_methods_supported: ['client_secret_post'] },
    ),
    'client_secret_basic',
  )
})

test('client authentication: private_key_jwt proves itself by certificate, not by secret', async () => {
  const certificate_pem = readFileSync(join(fixtures, 'client-assertion.cert.pem'), 'utf8')
  const private_key_pem = readFileSync(join(fixtures, 'client-assertion.key.pem'), 'utf8')
  const { form, headers } = await authenticate({
    client_secret: undefined,
    token_endpoint_auth_method: 'private_key_jwt',
    client_assertion: { private_key_pem, certificate_pem },
  })
  assert.deepEqual(headers, {})
  assert.equal(form.has('client_secret'), false)
  assert.equal(form.get('client_id'), 'gw')
  assert.equal(
    form.get('client_assertion_type'),
    'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  )
  const assertion = form.get('client_assertion') ?? ''
  const { raw } = new X509Certificate(certificate_pem)
  assert.deepEqual(decodeProtectedHeader(assertion), {
    alg: 'RS256',
    typ: 'JWT',
    x5t: createHash('sha1').update(raw).digest('base64url'),
    'x5t#S256': createHash('sha256').update(raw).digest('base64url'),
  })
  const { payload } = await jwtVerify(assertion, createPublicKey(certificate_pem), {
    issuer: 'gw',
    subject: 'gw',
    audience: 'https://idp.example.com/token',
    currentDate: new Date(createFakeClock().now()),
    maxTokenAge: 1,
  })
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 120)
  assert.match(payload.jti ?? '', /^[0-9a-f-]{36}$/)
})
