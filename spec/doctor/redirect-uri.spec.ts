import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeRedirect, type AuthorizationAnswer } from '../../lib/doctor/redirect-uri.ts'

const redirect_uri = 'https://gw.example.com/oauth/callback'
const judge = (answer: Partial<AuthorizationAnswer>) =>
  judgeRedirect({ status: 302, location: null, text: '', redirect_uri, ...answer })
const at = (query: string): URL => new URL(`${redirect_uri}?${query}`)

test('doctor redirect URI: a provider that answers at it knows it', () => {
  for (const error of ['login_required', 'interaction_required', 'consent_required']) {
    assert.equal(judge({ location: at(`error=${error}`) }).result, 'ok', error)
  }
})

test('doctor redirect URI: scopes that are not offered fail with the key to change', () => {
  const finding = judge({ location: at('error=invalid_scope') })
  assert.ok(finding.result === 'fail')
  assert.match(finding.fix, /oidc\.scopes/)
})

test('doctor redirect URI: any other error at it is worth a look', () => {
  const finding = judge({ location: at('error=unsupported_response_type') })
  assert.ok(finding.result === 'warn')
  assert.match(finding.seen, /unsupported_response_type/)
})

/** How well-known providers say that they do not know it. */
const refusals: readonly [who: string, answer: Partial<AuthorizationAnswer>][] = [
  ['a certified library', { status: 400, text: 'redirect_uri did not match any registered' }],
  ['Okta', { status: 400, text: "The 'redirect_uri' parameter must be a Login redirect URI" }],
  ['Entra ID', { status: 200, text: 'AADSTS50011: The redirect URI specified in the request' }],
  ['Keycloak', { status: 400, text: 'Invalid parameter: redirect_uri' }],
  ['Auth0', { status: 403, text: 'Callback URL mismatch.' }],
  [
    'Google',
    {
      location: new URL(
        `https://accounts.example.com/signin/oauth/error?authError=${Buffer.from('\n\u0015redirect_uri_mismatch\u0012').toString('base64')}`,
      ),
    },
  ],
]

test('doctor redirect URI: a refusal is recognised in the words of each provider', () => {
  for (const [who, answer] of refusals) {
    const finding = judge(answer)
    assert.ok(finding.result === 'fail', who)
    assert.match(finding.fix, /register exactly https:\/\/gw\.example\.com\/oauth\/callback/)
  }
})

test('doctor redirect URI: an unknown client is told from an unknown URI', () => {
  const finding = judge({ status: 400, text: '{"error":"invalid_client"}' })
  assert.ok(finding.result === 'fail')
  assert.match(finding.fix, /oidc\.client_id/)
})

test('doctor redirect URI: a page of a sign-in that speaks of redirect_uri is no refusal', () => {
  const page = '<form><input name="redirect_uri"><script>var error = 1</script></form>'
  assert.equal(judge({ status: 200, text: page }).result, 'ok')
  const location = new URL(`https://login.example.com/?continue=x&redirect_uri=${redirect_uri}`)
  assert.equal(judge({ location }).result, 'ok')
})

test('doctor redirect URI: an endpoint that is broken is worth a look', () => {
  assert.equal(judge({ status: 503, text: 'try later' }).result, 'warn')
})
