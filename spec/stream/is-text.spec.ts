import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isText } from '../../lib/stream/is-text.ts'

const bytes = Buffer.from('a ping to all')

test('is text: the bytes of the span, all of them and no others, are the text', () => {
  assert.equal(isText(bytes, 2, 6, 'ping'), true)
  assert.equal(isText(bytes, 2, 2, ''), true)
  for (const other of ['pin', 'pings', 'pong', 'Ping', '']) {
    assert.equal(isText(bytes, 2, 6, other), false, other)
  }
})

test('is text: a span beyond the end is no text', () => {
  assert.equal(isText(bytes, 10, 14, 'all!'), false)
})
