import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSseRelay } from '../../lib/stream/relay-sse.ts'
import { chunkings } from '../support/chunkings.ts'

interface Relayed {
  readonly text: string
  readonly failure: string | null
}

function relay(chunks: readonly Uint8Array[]): Relayed {
  const decoder = createSseRelay()
  let text = ''
  for (const chunk of chunks) {
    if (decoder.failure() === null) text += decoder.push(chunk)
  }
  if (decoder.failure() === null) decoder.end()
  return { text, failure: decoder.failure()?.message ?? null }
}

function check(input: string, expected: Partial<Relayed>): void {
  for (const { name, chunks } of chunkings(input)) {
    assert.deepEqual(relay(chunks), { text: '', failure: null, ...expected }, name)
  }
}

const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'

test('relay-sse: the six message events pass in their exact framing', () => {
  const types = [
    'message_start',
    'content_block_start',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]
  const text = types.map((type) => `event: ${type}\ndata: {"type":"${type}","ü":"😀"}\n\n`).join('')
  check(text, { text })
})

test('relay-sse: other framings of the same events come out in the exact one', () => {
  check(
    'event:message_start\r\ndata:{"type":"message_start",\r\ndata: "usage": {"n":1.0}}\r\n\r\n' +
      'data: {"type":"message_stop"}\nevent: message_stop\n\n',
    { text: `event: message_start\ndata: {"type":"message_start","usage":{"n":1}}\n\n${stop}` },
  )
})

test('relay-sse: escapes come out as the characters they are', () => {
  check('event: message_delta\ndata: {"t":"a\\u00e9 \\/"}\n\n', {
    text: 'event: message_delta\ndata: {"t":"aé /"}\n\n',
  })
})

test('relay-sse: comments, pings, unknown events and events without a type do not pass', () => {
  check(
    ': comment\n\nid: 5\nretry: 100\nevent: weird_event\ndata: {"x":1.0}\n\n' +
      'event: ping\ndata: {"type": "ping"}\n\ndata: {"type":"message_stop"}\n\n' +
      `event: weird_event\ndata: not json\n\ndata: [DONE]\n\n${stop}`,
    { text: stop },
  )
})

test('relay-sse: half an event at the end is dropped, and no failure', () => {
  check(`${stop}event: message_delta\ndata: {"type":"message_delta"}\n`, { text: stop })
  check('', {})
})

test('relay-sse: an error event breaks the stream behind what came before it', () => {
  const error = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
  check(`${stop}event: error\ndata: ${error}\n\n${stop}`, { text: stop, failure: error })
})

test('relay-sse: data that is no JSON breaks the stream, and is not quoted', () => {
  check(`${stop}event: message_delta\ndata: {"secret": completion\n\n${stop}`, {
    text: stop,
    failure: 'the data of a message_delta event is no JSON',
  })
})

test('relay-sse: a document where events were expected has none, and is no failure', () => {
  check('{"type":"message","content":[]}', {})
  check('<html>\n\n</html>\n\n', {})
})

test('relay-sse: an event of half a megabyte passes whole', () => {
  const text = `event: content_block_start\ndata: {"data":"${'x'.repeat(500_000)}"}\n\n`
  const bytes = Buffer.from(text)
  const chunks = Array.from({ length: 8 }, (_, i) => bytes.subarray(i * 65_536, (i + 1) * 65_536))
  assert.deepEqual(relay(chunks), { text, failure: null })
})

test('relay-sse: an event above its bound breaks the stream', () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const decoder = createSseRelay()
  decoder.push(Buffer.from('event: message_delta\ndata: "'))
  for (let i = 0; i < 17; i++) decoder.push(chunk)
  assert.equal(decoder.push(Buffer.from('"\n\n')), '')
  assert.match(decoder.failure()?.message ?? '', /more than 16777216 bytes/)
})
