import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asBuffer } from '../../lib/stream/as-buffer.ts'

test('as buffer: a view of the same memory, at its own place in it', () => {
  const memory = new Uint8Array([1, 2, 3, 4, 5])
  const view = memory.subarray(1, 4)
  const buffer = asBuffer(view)
  assert.ok(Buffer.isBuffer(buffer))
  assert.deepEqual([...buffer], [2, 3, 4])
  memory[2] = 9
  assert.deepEqual([...buffer], [2, 9, 4])
})

test('as buffer: a Buffer is itself', () => {
  const buffer = Buffer.from('x')
  assert.equal(asBuffer(buffer), buffer)
})
