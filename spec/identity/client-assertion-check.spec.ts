/** Keys and certificates for private_key_jwt: which are refused, and what boot says of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkClientAssertion } from '../../lib/identity/client-assertion-check.ts'
import { loadWith, pem } from '../config/load.ts'

const key = pem('rsa.key.pem')
const certificate = pem('rsa.crt.pem')

function load(private_key_pem: string, certificate_pem: string, now?: number) {
  return loadWith(
    {
      'oidc.client_secret': undefined,
      'oidc.token_endpoint_auth_method': 'private_key_jwt',
      'oidc.client_assertion': { private_key_pem, certificate_pem },
    },
    now === undefined ? {} : { now },
  )
}

test('client assertion: a pair passes in both PEM forms, and boot says which it is', () => {
  for (const form of [key, pem('rsa-pkcs1.key.pem'), `\n${key}\n`]) {
    const { loaded, warnings } = load(form, certificate)
    assert.ok(loaded.kind === 'ok')
    assert.deepEqual(warnings, [])
    assert.deepEqual(loaded.notes, [
      'oidc: client authentication private_key_jwt; certificate CN=gateway.test, SHA-1 thumbprint DC0ACD9E05F50BEA684E31352F2950896A945C35, expires 2036-11-20',
    ])
  }
})

test('client assertion: keys that cannot sign RS256 are refused without being shown', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    [pem('short.key.pem'), /this one has 1024 bits/],
    [pem('ec.key.pem'), /this is a key of type ec/],
    [pem('encrypted.key.pem'), /this is an encrypted private key/],
    [pem('encrypted-pkcs1.key.pem'), /this is an encrypted private key/],
    [certificate, /this is no PEM private key, but a PEM block CERTIFICATE/],
    ['x', /this is no PEM private key/],
    [
      key.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
      /this is a private key that cannot be decoded/,
    ],
  ]
  for (const [pemText, reason] of refused) {
    const { problems } = load(pemText, certificate)
    assert.equal(problems.length, 1)
    assert.match(
      problems[0] ?? '',
      /^oidc\.client_assertion\.private_key_pem: expected an unencrypted RSA/,
    )
    assert.match(problems[0] ?? '', reason)
    assert.match(problems[0] ?? '', /\(hidden\)$/)
  }
})

test('client assertion: exactly one certificate, and that of the key', () => {
  assert.match(
    load(key, `${certificate}${pem('other.crt.pem')}`).problems.join(),
    /found 2 of them$/,
  )
  assert.match(
    load(key, pem('other.crt.pem')).problems.join(),
    /found one with another public key$/,
  )
  assert.match(load(key, 'y').problems.join(), /found no PEM certificate$/)
  assert.match(
    load(key, certificate.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')).problems.join(),
    /found a certificate that cannot be decoded$/,
  )
})

test('client assertion: an expired certificate only warns', () => {
  const { problems, warnings } = load(key, certificate, Date.parse('2040-01-01'))
  assert.deepEqual(problems, [])
  assert.match(warnings.join(), /^oidc\.client_assertion\.certificate_pem: THE CERTIFICATE EXPIRED/)
})

test('client assertion: half a block is judged as far as it goes', () => {
  const said: string[] = []
  const report = {
    error: (path: readonly unknown[]) => void said.push(path.join('.')),
    warn: () => assert.fail(),
  }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: Date.parse('2027-01-01'),
    isSet: () => true,
    readFile: () => assert.fail(),
    note: () => void said.push('note'),
  }
  checkClientAssertion({ certificate_pem: certificate }, facts, report)
  checkClientAssertion({ private_key_pem: 'x' }, facts, report)
  assert.deepEqual(said, ['note', 'oidc.client_assertion.private_key_pem'])
})
