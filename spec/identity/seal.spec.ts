import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeal } from '../../lib/identity/seal.ts'
import { createSessionKeys } from '../../lib/identity/session-key.ts'

const secret = 'a-secret-of-more-than-thirty-two-characters'
const other = 'another-secret-of-more-than-thirty-two-chars'
const keysOf = createSessionKeys

test('seal: what was sealed opens to the same text, on any replica with the secret', async () => {
  const sealed = await createSeal(keysOf([secret]), 'p').seal('grüße {"a":1}')
  assert.equal(await createSeal(keysOf([secret]), 'p').open(sealed), 'grüße {"a":1}')
})

test('seal: it is a compact JWE with direct encryption and the key id of the sessions', async () => {
  const [key] = keysOf([secret])
  const sealed = await createSeal(keysOf([secret]), 'p').seal('x')
  const parts = sealed.split('.')
  assert.equal(parts.length, 5)
  assert.equal(parts[1], '', 'direct encryption has no wrapped key')
  assert.deepEqual(JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString()), {
    alg: 'dir',
    enc: 'A256GCM',
    kid: key?.kid,
  })
})

test('seal: two seals of one text share nothing', async () => {
  const seal = createSeal(keysOf([secret]), 'p')
  const [one, two] = await Promise.all([seal.seal('same'), seal.seal('same')])
  assert.notEqual(one.split('.')[2], two.split('.')[2])
  assert.notEqual(one.split('.')[3], two.split('.')[3])
})

test('seal: an older secret still opens what it sealed, until it is removed', async () => {
  const sealed = await createSeal(keysOf([other]), 'p').seal('x')
  assert.equal(await createSeal(keysOf([secret, other]), 'p').open(sealed), 'x')
  assert.equal(await createSeal(keysOf([secret]), 'p').open(sealed), null)
})

test('seal: another purpose opens nothing', async () => {
  const sealed = await createSeal(keysOf([secret]), 'device grant').seal('x')
  assert.equal(await createSeal(keysOf([secret]), 'sign-in state').open(sealed), null)
})

test('seal: a change of any single character is noticed', async () => {
  const seal = createSeal(keysOf([secret]), 'p')
  const sealed = await seal.seal('{"grant":"abc"}')
  for (let index = 0; index < sealed.length; index++) {
    const letter = sealed.charAt(index)
    if (letter === '.') continue
    // Far enough apart that not only unused trailing bits differ.
    const changed = letter === 'A' ? 'g' : 'A'
    const tampered = `${sealed.slice(0, index)}${changed}${sealed.slice(index + 1)}`
    assert.equal(await seal.open(tampered), null, `character ${index}`)
  }
})

test('seal: foreign text opens to nothing, whatever it looks like', async () => {
  const seal = createSeal(keysOf([secret]), 'p')
  for (const text of [
    '',
    'zzz',
    '....',
    'a.b.c',
    'a..b.c.d',
    `${'x'.repeat(600_000)}`,
    'é..a.b.c',
  ]) {
    assert.equal(await seal.open(text), null)
  }
})
