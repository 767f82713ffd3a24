import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildRequest, createReply, findNonce, nonceLength, placeNonce } from '../../bench/reply.ts'
import type { Framing, Script } from '../../bench/reply.ts'
import { createEventStreamDecoder } from '../../lib/stream/event-stream.ts'

const stream: Script = {
  provider: 'anthropic',
  kind: 'stream',
  events: 20,
  gapMs: 0,
  chunks: 'each',
  together: 0,
}
const bedrock: Script = { ...stream, provider: 'bedrock' }

function pieces(script: Script, framing?: Framing): Buffer[] {
  return createReply(script, framing)('deadbeef')
}

function textOf(script: Script, framing?: Framing): string {
  return Buffer.concat(pieces(script, framing)).toString()
}

test('reply: a stream has as many events as its script says, each in its own piece', () => {
  for (const script of [stream, bedrock]) {
    const events = pieces(script, 'sse')
    assert.equal(events.length, 20)
    for (const event of events) assert.match(event.toString(), /^event: \w+\ndata: \{.*\}\n\n$/)
    assert.equal(pieces(script).length, 20)
  }
})

test('reply: a joined burst has the same bytes in one piece', () => {
  for (const script of [stream, bedrock]) {
    const joined = pieces({ ...script, chunks: 'joined' })
    assert.equal(joined.length, 1)
    assert.deepEqual(Buffer.concat(pieces(script)), joined[0])
  }
})

test('reply: a stream is a message a meter can count', () => {
  for (const script of [stream, bedrock]) {
    const events = pieces(script, 'sse').map((piece) => {
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
  }
})

test('reply: an Anthropic stream pings, one of Bedrock has its metrics instead', () => {
  assert.match(textOf(stream), /event: ping/)
  assert.doesNotMatch(textOf(bedrock, 'sse'), /ping/)
  assert.match(textOf(bedrock, 'sse'), /amazon-bedrock-invocationMetrics/)
})

test('reply: the frames of Bedrock hold the very events a client is to get', () => {
  const decoder = createEventStreamDecoder()
  const events = pieces(bedrock).map((frame) => decoder.push(frame))
  assert.equal(decoder.failure(), null)
  assert.deepEqual(
    events,
    pieces(bedrock, 'sse').map((event) => event.toString()),
  )
})

test('reply: a document is one JSON message', () => {
  const [piece, ...rest] = pieces({ ...stream, kind: 'json' })
  assert.equal(rest.length, 0)
  assert.match(JSON.stringify(JSON.parse(piece?.toString() ?? '')), /"stop_reason":"end_turn"/)
})

test('reply: each reply of one script has its own nonce, in its first piece only', () => {
  for (const script of [stream, bedrock, { ...stream, kind: 'json' } as const]) {
    const reply = createReply(script)
    const [first, ...rest] = reply('deadbeef')
    const [other, ...otherRest] = reply('12345678')
    assert.ok(first !== undefined && other !== undefined)
    assert.notDeepEqual(first, other)
    assert.deepEqual(rest, otherRest)
    assert.match(textOf(script, 'sse'), /"msg_bench_deadbeef"/)
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
