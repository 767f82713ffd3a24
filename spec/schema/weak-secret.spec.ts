/** Which long secrets are only repetition. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isWeakSecret } from '../../lib/schema/weak-secret.ts'

test('weak secret: repetition is weak, however long', () => {
  for (const weak of [
    'a'.repeat(64),
    'ab'.repeat(30),
    'abcdefg'.repeat(9),
    'changeme'.repeat(4),
    '12341234'.repeat(8),
    '',
  ]) {
    assert.ok(isWeakSecret(weak), weak)
  }
})

test('weak secret: what a generator makes never is', () => {
  for (let round = 0; round < 200; round++) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      const secret = randomBytes(24).toString(encoding)
      assert.ok(!isWeakSecret(secret), secret)
    }
  }
  assert.ok(!isWeakSecret('correct horse battery staple soup'))
})
