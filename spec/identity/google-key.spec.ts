import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { parseGoogleKey } from '../../lib/identity/google-key.ts'
import { accountEmail, keyFile } from '../support/google-directory.ts'

test('google key: the console’s file has all that is needed', () => {
  const parsed = parseGoogleKey(keyFile())
  assert.ok(parsed.kind === 'ok')
  assert.equal(parsed.value.client_email, accountEmail)
  assert.equal(parsed.value.private_key_id, 'key-1')
  assert.equal(parsed.value.privateKey.asymmetricKeyType, 'rsa')
})

test('google key: the id of the key may be missing', () => {
  const parsed = parseGoogleKey(keyFile({ private_key_id: undefined }))
  assert.ok(parsed.kind === 'ok')
  assert.equal(parsed.value.private_key_id, undefined)
})

test('google key: what is no key file is refused in words that never quote it', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ec = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const cases: [string, RegExp][] = [
    ['', /^no JSON object with private_key and client_email$/],
    ['hunter2', /^no JSON object with/],
    ['["hunter2"]', /^no JSON object with/],
    [keyFile({ client_email: '' }), /^no JSON object with/],
    [keyFile({ private_key: 5 }), /^no JSON object with/],
    [keyFile({ private_key: 'hunter2' }), /^no PEM private key as its private_key$/],
    [keyFile({ private_key: ec }), /^a private_key that is no RSA key$/],
  ]
  for (const [text, found] of cases) {
    const parsed = parseGoogleKey(text)
    assert.ok(parsed.kind === 'bad')
    assert.match(parsed.found, found)
    assert.doesNotMatch(parsed.found, /hunter2/)
  }
})
