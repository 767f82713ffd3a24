/** What goes together in `oidc` and `session`, and what is only warned about. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSignIn } from '../../lib/identity/config-check.ts'
import { loadWith, pem } from '../config/load.ts'

const noLoopback = { environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: undefined } }

const paths = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.split(':')[0] ?? '')

test('sign-in check: the issuer is no metadata address, and no loopback unless allowed', () => {
  const issuer = (url: string) => paths(loadWith({ 'oidc.issuer': url }, noLoopback).problems)
  assert.ok(!issuer('https://login.example.com').includes('oidc.issuer'))
  assert.ok(!issuer('http://10.0.0.5').includes('oidc.issuer'))
  for (const bad of ['http://127.0.0.1:9410', 'http://localhost:9410', 'http://169.254.169.254']) {
    assert.ok(issuer(bad).includes('oidc.issuer'), bad)
  }
  assert.deepEqual(loadWith({ 'oidc.issuer': 'http://localhost:9410/' }).problems, [])
})

test('sign-in check: discovery and form origins are held to hosts too', () => {
  const { problems } = loadWith(
    {
      'oidc.discovery_url': 'http://127.0.0.1/.well-known/x',
      'oidc.form_action_origins': [
        'http://127.0.0.1',
        'http://169.254.169.254',
        'https://a.example/x',
      ],
    },
    noLoopback,
  )
  const found = paths(problems)
  assert.ok(found.includes('oidc.discovery_url'))
  // Browsers go to form origins, so loopback is none of the gateway's business there.
  assert.deepEqual(
    found.filter((path) => path.includes('form_action')),
    ['oidc.form_action_origins.1'],
  )
})

test('sign-in check: a client secret is needed, except with private_key_jwt', () => {
  assert.deepEqual(loadWith({ 'oidc.client_secret': undefined }).problems, [
    'oidc.client_secret: expected a secret, unless token_endpoint_auth_method is private_key_jwt, found nothing',
  ])
  const both = loadWith({ 'oidc.token_endpoint_auth_method': 'private_key_jwt' }).problems
  assert.deepEqual(paths(both), ['oidc.client_secret', 'oidc.client_assertion'].toReversed())
  const stray = loadWith({
    'oidc.client_assertion': {
      private_key_pem: pem('rsa.key.pem'),
      certificate_pem: pem('rsa.crt.pem'),
    },
  })
  assert.match(stray.problems.join(), /^oidc\.client_assertion: expected no such block, unless/)
})

test('sign-in check: with an unknown method nothing is said of what goes with it', () => {
  const { problems } = loadWith({
    'oidc.token_endpoint_auth_method': 'private_key_jwtt',
    'oidc.client_secret': undefined,
  })
  assert.deepEqual(paths(problems), ['oidc.token_endpoint_auth_method'])
})

test('sign-in check: missing keys are all reported beside broken ones', () => {
  const { problems } = loadWith({ 'oidc.client_id': undefined, 'oidc.client_secret': undefined })
  assert.deepEqual(
    [...paths(problems)].toSorted((a, b) => a.localeCompare(b)),
    ['oidc.client_id', 'oidc.client_secret'],
  )
})

test('sign-in check: parameters the gateway sets itself cannot be added', () => {
  const own = ['redirect_uri', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'scope']
  const params = Object.fromEntries([...own, 'response_type', 'prompt'].map((name) => [name, 'x']))
  const { problems } = loadWith({ 'oidc.extra_auth_params': params })
  assert.deepEqual(
    paths(problems),
    [...own, 'response_type'].map((name) => `oidc.extra_auth_params.${name}`),
  )
})

test('sign-in check: authorities for the provider must be certificates', () => {
  assert.deepEqual(loadWith({ 'oidc.ca_cert_pem': pem('rsa.crt.pem') }).problems, [])
  assert.match(
    loadWith({ 'oidc.ca_cert_pem': 'nope' }).problems.join(),
    /^oidc\.ca_cert_pem: expected at least one PEM certificate, as text, found no PEM certificate$/,
  )
})

test('sign-in check: the key file of Google groups is read and must be one', () => {
  const google = {
    'oidc.google_groups': { service_account_json_path: '/sa.json', admin_email: 'a@example.com' },
  }
  const private_key = pem('rsa.key.pem')
  const key = JSON.stringify({ private_key, client_email: 'x@y' })
  const { loaded, problems } = loadWith(google, { files: { '/sa.json': key } })
  assert.deepEqual(problems, [])
  assert.ok(loaded.kind === 'ok')
  assert.deepEqual(loaded.notes, [
    'oidc: groups are read from Google Workspace by x@y for a@example.com',
  ])
  assert.match(loadWith(google).problems.join(), /\/sa\.json: there is no such file$/)
  for (const content of ['', 'no json hunter2', '[]', '{"private_key":"hunter2"}', 'null']) {
    const said = loadWith(google, { files: { '/sa.json': content } }).problems.join()
    assert.match(said, /no JSON object with private_key and client_email$/)
    assert.doesNotMatch(said, /hunter2/)
  }
  const broken = JSON.stringify({ private_key: 'hunter2', client_email: 'x@y' })
  const said = loadWith(google, { files: { '/sa.json': broken } }).problems.join()
  assert.match(said, /no PEM private key as its private_key$/)
})

test('sign-in check: a groups claim has no effect beside Google groups, and is said', () => {
  const key = JSON.stringify({ private_key: pem('rsa.key.pem'), client_email: 'x@y' })
  const google = {
    'oidc.google_groups': { service_account_json_path: '/sa.json', admin_email: 'a@example.com' },
  }
  const warnings = (more: object) =>
    loadWith({ ...google, ...more }, { files: { '/sa.json': key } }).warnings.join()
  assert.doesNotMatch(warnings({}), /groups_claim/)
  assert.match(warnings({ 'oidc.groups_claim': 'roles' }), /^oidc\.groups_claim: has no effect/m)
})

test('sign-in check: secrets that are weak or repeated are warned about, by place', () => {
  const strong = 'mW8qk2vT5xZr9LdP3cYb7NfH1sJg4KaE'
  const warnings = (jwt_secret: unknown) => loadWith({ 'session.jwt_secret': jwt_secret }).warnings
  assert.deepEqual(warnings([strong, `${strong}2`]), [])
  assert.match(warnings('a'.repeat(32)).join(), /^session\.jwt_secret: is easy to guess/)
  assert.match(
    warnings([strong, 'ab'.repeat(20)]).join(),
    /^session\.jwt_secret\.1: is easy to guess/,
  )
  assert.match(
    warnings([strong, strong]).join(),
    /^session\.jwt_secret\.1: repeats an earlier secret/,
  )
})

test('sign-in check: sessions longer than a day are warned about', () => {
  assert.deepEqual(loadWith({ 'session.ttl_hours': 24 }).warnings, [])
  assert.match(
    loadWith({ 'session.ttl_hours': 24.5 }).warnings.join(),
    /^session\.ttl_hours: is above 24/,
  )
})

test('sign-in check: it is quiet about sections that could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => true,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  checkSignIn({}, facts, report)
  checkSignIn({ oidc: {}, session: {} }, facts, report)
})
