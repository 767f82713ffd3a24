import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSessionKeys } from '../../lib/identity/session-key.ts'

const secret = '0123456789abcdef0123456789abcdef0123456789abcdef'

test('session keys: the id is the first 16 hex digits of the hash of the secret', () => {
  assert.deepEqual(
    createSessionKeys([secret]).map(({ kid }) => kid),
    ['34c26e154bab5ff5'],
  )
})

test('session keys: the order of the secrets is kept', () => {
  const [first, second] = createSessionKeys(['a'.repeat(32), 'b'.repeat(32)])
  assert.notEqual(first?.kid, second?.kid)
  assert.equal(second?.kid, createSessionKeys(['b'.repeat(32)])[0]?.kid)
})

test('session keys: every purpose has a key of its own, the same on every replica', () => {
  const [one] = createSessionKeys([secret])
  const [same] = createSessionKeys([secret])
  const grant = one?.sealing('device grant')
  assert.equal(grant?.length, 32)
  assert.deepEqual(grant, same?.sealing('device grant'))
  assert.notDeepEqual(grant, one?.sealing('sign-in state'))
})

test('session keys: characters beyond ASCII count as their UTF-8 bytes', () => {
  const [key] = createSessionKeys(['ä'.repeat(32)])
  assert.equal(key?.signing.symmetricKeySize, 64)
})
