/** PEM text: what is found in it, and reasons a person can act on. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { expiryWarning, parseCertificates, parsePrivateKey } from '../../lib/schema/certificate.ts'
import { pem } from '../config/load.ts'

const certificate = pem('rsa.crt.pem')

function found(parsed: { kind: 'ok' } | { kind: 'bad'; found: string }): string {
  return parsed.kind === 'ok' ? 'ok' : parsed.found
}

test('pem: all certificates of a chain are read in order, whatever stands between them', () => {
  const parsed = parseCertificates(
    `# ours\n${certificate}\nand\n${pem('other.crt.pem')}${pem('rsa.key.pem')}`,
  )
  assert.ok(parsed.kind === 'ok')
  assert.deepEqual(
    parsed.value.map(({ subject }) => subject),
    ['CN=gateway.test', 'CN=other.test'],
  )
})

test('pem: what is no certificate is told apart', () => {
  const broken = certificate.replace(/\n.{10}/, '\nAAAAAAAAAA')
  assert.equal(found(parseCertificates('')), 'no PEM certificate, but nothing at all')
  assert.equal(found(parseCertificates('nope')), 'no PEM certificate')
  assert.equal(
    found(parseCertificates(pem('ec.key.pem'))),
    'no PEM certificate, but a PEM block EC PRIVATE KEY',
  )
  assert.equal(found(parseCertificates(broken)), 'a certificate that cannot be decoded')
  assert.equal(
    found(parseCertificates(certificate + broken)),
    'a certificate that cannot be decoded (number 2 of 2)',
  )
})

test('pem: private keys of every unencrypted form are read', () => {
  for (const name of ['rsa.key.pem', 'rsa-pkcs1.key.pem', 'ec.key.pem', 'short.key.pem']) {
    assert.equal(found(parsePrivateKey(pem(name))), 'ok', name)
  }
})

test('pem: what is no private key is told apart', () => {
  for (const name of ['encrypted.key.pem', 'encrypted-pkcs1.key.pem']) {
    assert.equal(found(parsePrivateKey(pem(name))), 'an encrypted private key')
  }
  assert.equal(
    found(parsePrivateKey(certificate)),
    'no PEM private key, but a PEM block CERTIFICATE',
  )
  assert.equal(
    found(parsePrivateKey('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----')),
    'a private key that cannot be decoded',
  )
})

test('pem: expiry is said from thirty days before, and loudly after', () => {
  const at = (when: string): string | null =>
    expiryWarning(new X509Certificate(certificate), Date.parse(when))
  assert.equal(at('2030-01-01'), null)
  assert.equal(at('2036-10-21T22:00:00Z'), null)
  assert.equal(at('2036-10-22T00:00:00Z'), 'the certificate expires on 2036-11-20, in 29 day(s)')
  assert.match(at('2036-11-20T22:49:21Z') ?? '', /^THE CERTIFICATE EXPIRED on 2036-11-20/)
  assert.equal(at('2026-11-22'), 'the certificate is not valid before 2026-11-23')
})
