/** `oidc`, `session`, `rate_limits`, `login_notice`: values, forms and conversions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SignInConfig, signInKeys } from '../../lib/identity/config.ts'
import { loadWith } from '../config/load.ts'

const problemsOf = (path: string, value: unknown): string =>
  loadWith({ [path]: value }).problems.join('\n')

test('sign-in config: its sections are those of the file', () => {
  const names: readonly (keyof SignInConfig)[] = ['oidc', 'session', 'rate_limits', 'login_notice']
  assert.deepEqual(Object.keys(signInKeys), names)
})

test('sign-in config: domains lose blanks, one at sign and their case', () => {
  const { oidc } = loadWith({
    'oidc.allowed_email_domains': ['@Example.com', ' corp.io ', ''],
  }).config()
  assert.deepEqual(oidc.allowed_email_domains, ['example.com', 'corp.io'])
})

test('sign-in config: an empty list admits all, a list of blanks is a mistake', () => {
  for (const key of ['oidc.allowed_email_domains', 'oidc.allowed_groups']) {
    assert.equal(problemsOf(key, []), '')
    assert.match(problemsOf(key, ['']), /expected an empty list, or an entry that is not blank/)
    assert.match(problemsOf(key, [' ', '']), /not blank/)
    assert.match(problemsOf(key, 'example.com'), /expected a list, found the text "example.com"/)
  }
})

test('sign-in config: the scopes must contain openid', () => {
  assert.match(
    problemsOf('oidc.scopes', ['email']),
    /^oidc\.scopes: expected a list that contains openid/,
  )
  assert.equal(problemsOf('oidc.scopes', ['openid', 'x']), '')
})

test('sign-in config: a discovery address is a well-known one', () => {
  const base = 'http://127.0.0.1:9410'
  assert.match(problemsOf('oidc.discovery_url', `${base}/x`), /path contains \/\.well-known\//)
  assert.match(problemsOf('oidc.discovery_url', `${base}/x?/.well-known/`), /path contains/)
  assert.equal(
    problemsOf('oidc.discovery_url', `${base}/realm/.well-known/openid-configuration`),
    '',
  )
})

test('sign-in config: an email claim is a name or a list of names', () => {
  assert.deepEqual(loadWith({ 'oidc.email_claim': ['a', '/b/c'] }).config().oidc.email_claim, [
    'a',
    '/b/c',
  ])
  for (const bad of [[], '', [''], 5, { a: 1 }])
    assert.notEqual(problemsOf('oidc.email_claim', bad), '')
})

test('sign-in config: closed lists of words suggest the nearest', () => {
  assert.match(problemsOf('oidc.id_token_signed_response_alg', 'HS256'), /did you mean .*RS256/)
  assert.match(
    problemsOf('oidc.token_endpoint_auth_method', 'client_secret_bassic'),
    /did you mean client_secret_basic\?$/,
  )
})

test('sign-in config: one secret becomes a list, so that there is one form inside', () => {
  const one = '0123456789abcdefghijABCDEFGHIJ!?'
  assert.deepEqual(loadWith({ 'session.jwt_secret': one }).config().session.jwt_secret, [one])
  const two = [one, `${one}2`]
  assert.deepEqual(loadWith({ 'session.jwt_secret': two }).config().session.jwt_secret, two)
})

test('sign-in config: secrets have at least 32 characters each', () => {
  assert.notEqual(problemsOf('session.jwt_secret', 'x'.repeat(31)), '')
  assert.equal(problemsOf('session.jwt_secret', 'é'.repeat(32)), '')
  assert.match(problemsOf('session.jwt_secret', ['x'.repeat(32), 'x']), /^session\.jwt_secret\.1: /)
  for (const bad of [[], 5, {}, null]) assert.notEqual(problemsOf('session.jwt_secret', bad), '')
})

test('sign-in config: a session lives longer than nothing', () => {
  for (const bad of [0, -1, 'soon', Number.NaN])
    assert.notEqual(problemsOf('session.ttl_hours', bad), '')
  for (const fine of [0.01, 1, 24, 10_000]) assert.equal(problemsOf('session.ttl_hours', fine), '')
})

test('sign-in config: either half of a rate limit may be left out', () => {
  const { rate_limits } = loadWith({ rate_limits: { device_verify: { max: 5 } } }).config()
  assert.deepEqual(rate_limits, {
    device_authorization: { max: 30, window_seconds: 600 },
    device_verify: { max: 5, window_seconds: 600 },
  })
})

test('sign-in config: a notice has no control characters and stands on one line', () => {
  const notice = (text: string): string | undefined =>
    loadWith({ login_notice: text }).config().login_notice
  assert.equal(notice('a\nb\r\nc\td'), 'a b c d')
  assert.equal(notice('a\u001b[31mred\u001b[0m b'), 'ared b')
  assert.equal(notice('\u001b]8;;https://evil.example\u0007link\u001b]8;;\u0007'), 'link')
  assert.equal(notice('a\u0000\u0007\u009Bb\u007F'), 'ab')
  assert.equal(notice('<b>x</b> – Grüße'), '<b>x</b> – Grüße')
})

test('sign-in config: a notice has 1 to 500 characters', () => {
  assert.equal(problemsOf('login_notice', 'x'.repeat(500)), '')
  assert.match(problemsOf('login_notice', 'x'.repeat(501)), /expected text of 1 to 500 characters/)
  assert.notEqual(problemsOf('login_notice', ''), '')
})
