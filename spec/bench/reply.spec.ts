import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  buildReply,
  buildRequest,
  findNonce,
  nonceLength,
  nonceOffset,
  placeNonce,
} from '../../bench/reply.ts'
import type { Script } from '../../bench/reply.ts'

const stream: Script = { kind: 'stream', events: 20, gapMs: 0, chunks: 'each' }

test('reply: a stream has as many events as its script says, each in its own piece', () => {
  const pieces = buildReply(stream)
  assert.equal(pieces.length, 20)
  for (const piece of pieces) assert.match(piece.toString(), /^event: \w+\ndata: \{.*\}\n\n$/)
})

test('reply: a joined burst has the same bytes in one piece', () => {
  const joined = buildReply({ ...stream, chunks: 'joined' })
  assert.equal(joined.length, 1)
  assert.deepEqual(Buffer.concat(buildReply(stream)), joined[0])
})

test('reply: a stream is a message a meter can count', () => {
  const events = buildReply(stream).map((piece) => {
    const parsed: unknown = JSON.parse(piece.toString().split('data: ')[1] ?? '')
    assert.ok(typeof parsed === 'object' && parsed !== null)
    return parsed
  })
  const types = events.map((event) => ('type' in event ? event.type : undefined))
  assert.equal(types[0], 'message_start')
  assert.equal(types.at(-2), 'message_delta')
  assert.equal(types.at(-1), 'message_stop')
  assert.match(JSON.stringify(events[0]), /"input_tokens":25/)
  assert.match(JSON.stringify(events.at(-2)), /"output_tokens":20/)
})

test('reply: a document is one JSON message', () => {
  const [piece, ...rest] = buildReply({ ...stream, kind: 'json' })
  assert.equal(rest.length, 0)
  assert.match(JSON.stringify(JSON.parse(piece?.toString() ?? '')), /"stop_reason":"end_turn"/)
})

test('reply: the nonce has its place in streams and documents', () => {
  for (const kind of ['stream', 'json'] as const) {
    const [piece = Buffer.alloc(0)] = buildReply({ ...stream, kind })
    const at = nonceOffset(piece)
    assert.equal(piece.toString('latin1', at - 4, at + nonceLength + 1), 'nch_00000000"')
  }
})

test('reply: a request is valid JSON of about the size asked for, with its nonce up front', () => {
  for (const bytes of [1_000, 95_000, 1_000_000]) {
    const { head, tail } = buildRequest(bytes, true)
    const text = placeNonce(head, 'deadbeef') + tail.toString()
    const parsed: unknown = JSON.parse(text)
    assert.ok(typeof parsed === 'object' && parsed !== null && 'stream' in parsed)
    assert.equal(parsed.stream, true)
    const size = Buffer.byteLength(text)
    assert.ok(size <= bytes * 1.02 && size >= bytes * 0.98 - 1_200, `${size} for ${bytes}`)
    assert.equal(findNonce(Buffer.from(text).subarray(0, 200)), 'deadbeef')
  }
})

test('reply: a nonce that has not arrived yet, or never was there, is not found', () => {
  const { head } = buildRequest(1_000, true)
  const start = Buffer.from(placeNonce(head, 'deadbeef'))
  const end = start.indexOf('deadbeef') + nonceLength
  assert.equal(findNonce(start.subarray(0, end)), 'deadbeef')
  assert.equal(findNonce(start.subarray(0, end - 1)), undefined)
  assert.equal(findNonce(Buffer.from('{"model":"other"}')), undefined)
})
