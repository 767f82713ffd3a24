import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freeBytes, freeSent, lendBytes, lentMinBytes } from '../../lib/stream/lent-bytes.ts'

/** Memory that holds nothing else. */
function ownBytes(): Buffer {
  return Buffer.allocUnsafeSlow(100).fill('x')
}

test('lent bytes: nobody has them, so they are freed at once', () => {
  const bytes = ownBytes()
  freeBytes(bytes)
  assert.equal(bytes.length, 0)
})

test('lent bytes: are freed when the last of those who had them gives them back', () => {
  const bytes = ownBytes()
  const first = lendBytes(bytes)
  const second = lendBytes(bytes)
  freeBytes(bytes)
  first()
  assert.equal(bytes.toString(), 'x'.repeat(100))
  second()
  assert.equal(bytes.length, 0)
})

test('lent bytes: given back while somebody still looks at them, they stay', () => {
  const bytes = ownBytes()
  lendBytes(bytes)()
  assert.equal(bytes.length, 100)
  freeBytes(bytes)
  assert.equal(bytes.length, 0)
})

test('lent bytes: never given back, they are never freed by hand', () => {
  const bytes = ownBytes()
  lendBytes(bytes)
  freeBytes(bytes)
  assert.equal(bytes.length, 100)
})

test('lent bytes: memory that holds more than the bytes is not touched', () => {
  const whole = ownBytes()
  freeBytes(whole.subarray(0, 50))
  assert.equal(whole.length, 100)
  lendBytes(whole.subarray(50))()
  assert.equal(whole.length, 100)
})

test('lent bytes: a part that is lent keeps the whole', () => {
  const bytes = ownBytes()
  const back = lendBytes(bytes.subarray(10, 20))
  freeBytes(bytes)
  assert.equal(bytes.length, 100)
  back()
})

test('lent bytes: a body that may have been sent is freed when it is large enough to be lent', () => {
  const small = new Uint8Array(lentMinBytes - 1)
  const large = new Uint8Array(lentMinBytes)
  const lent = new Uint8Array(lentMinBytes)
  const takeBack = lendBytes(lent)
  for (const body of [small, large, lent]) freeSent(body)
  assert.deepEqual(
    [small, large, lent].map(({ length }) => length),
    [lentMinBytes - 1, 0, lentMinBytes],
  )
  takeBack()
  assert.equal(lent.length, 0)
})
