import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { buildAuthorizationUrl } from '../../lib/identity/authorization-request.ts'

const oidc = {
  client_id: 'gw',
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  extra_auth_params: {},
}
const request = {
  redirect_uri: 'http://localhost:9310/oauth/callback',
  state: 'st.ate',
  nonce: 'nonce',
  code_verifier: 'verifier',
}
const challenge = createHash('sha256').update('verifier').digest('base64url')

test('authorization request: the parameters stand in the documented order', () => {
  assert.equal(
    buildAuthorizationUrl('http://127.0.0.1:9410/authorize', oidc, request),
    'http://127.0.0.1:9410/authorize?client_id=gw&scope=openid%20profile%20email%20offline_access' +
      '&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A9310%2Foauth%2Fcallback' +
      `&state=st.ate&nonce=nonce&code_challenge=${challenge}&code_challenge_method=S256` +
      '&response_mode=query',
  )
})

test('authorization request: without PKCE there is no challenge', () => {
  const url = buildAuthorizationUrl('http://i/a', oidc, { ...request, code_verifier: undefined })
  assert.doesNotMatch(url, /code_challenge/)
  assert.match(url, /&nonce=nonce&response_mode=query$/)
})

test('authorization request: the operator’s parameters come last, encoded', () => {
  const extra_auth_params = { prompt: 'select_account', 'domain hint': 'a&b=c' }
  const url = buildAuthorizationUrl('http://i/a', { ...oidc, extra_auth_params }, request)
  assert.match(url, /&response_mode=query&prompt=select_account&domain%20hint=a%26b%3Dc$/)
})

test('authorization request: a query of the endpoint itself is kept', () => {
  const url = buildAuthorizationUrl('http://i/a?policy=p', oidc, request)
  assert.match(url, /^http:\/\/i\/a\?policy=p&client_id=gw&/)
})

test('authorization request: configured scopes replace the usual ones', () => {
  const url = buildAuthorizationUrl('http://i/a', { ...oidc, scopes: ['openid', 'x:y'] }, request)
  assert.equal(new URL(url).searchParams.get('scope'), 'openid x:y')
})
