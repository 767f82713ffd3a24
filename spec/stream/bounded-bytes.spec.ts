import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBoundedBytes } from '../../lib/stream/bounded-bytes.ts'

const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString()
const source = Buffer.from('0123456789')

test('bounded bytes: pieces come out joined', () => {
  const bytes = createBoundedBytes(4, 100)
  assert.equal(text(bytes.view()), '')
  bytes.append(source, 0, 3)
  bytes.append(source, 5, 5)
  bytes.append(source, 7, 10)
  assert.equal(text(bytes.view()), '012789')
})

test('bounded bytes: clear starts anew', () => {
  const bytes = createBoundedBytes(4, 100)
  bytes.append(source, 0, 8)
  bytes.clear()
  assert.equal(text(bytes.view()), '')
  bytes.append(source, 1, 2)
  assert.equal(text(bytes.view()), '1')
})

test('bounded bytes: what is kept is a copy', () => {
  const bytes = createBoundedBytes(4, 100)
  const borrowed = Buffer.from('abc')
  bytes.append(borrowed, 0, 3)
  borrowed.fill('x')
  assert.equal(text(bytes.view()), 'abc')
})

test('bounded bytes: exactly the bound is kept', () => {
  const bytes = createBoundedBytes(1, 10)
  for (let at = 0; at < 10; at++) bytes.append(source, at, at + 1)
  assert.equal(text(bytes.view()), '0123456789')
})

test('bounded bytes: one byte more leaves nothing, whatever follows, until cleared', () => {
  const bytes = createBoundedBytes(2, 10)
  bytes.append(source, 0, 10)
  bytes.append(source, 0, 1)
  assert.equal(bytes.view(), null)
  bytes.append(source, 0, 1)
  assert.equal(bytes.view(), null)
  bytes.clear()
  bytes.append(source, 2, 4)
  assert.equal(text(bytes.view()), '23')
})

test('bounded bytes: a single piece above the bound is not copied', () => {
  const bytes = createBoundedBytes(2, 10)
  bytes.append(new Uint8Array(11), 0, 11)
  assert.equal(bytes.view(), null)
})
