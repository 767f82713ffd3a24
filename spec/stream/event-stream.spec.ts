import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { createEventStreamDecoder } from '../../lib/stream/event-stream.ts'
import { chunkings, everySplit } from '../support/chunkings.ts'
import {
  chunkFrame,
  errorFrame,
  exceptionFrame,
  frame,
  messageFrames,
} from '../support/event-frames.ts'
import { createRandom } from '../support/random.ts'

interface Decoded {
  readonly text: string
  readonly failure: string | null
}

function decode(chunks: readonly Uint8Array[]): Decoded {
  const decoder = createEventStreamDecoder()
  let text = ''
  for (const chunk of chunks) {
    if (decoder.failure() === null) text += decoder.push(chunk)
  }
  if (decoder.failure() === null) decoder.end()
  return { text, failure: decoder.failure()?.message ?? null }
}

function check(frames: readonly Uint8Array[], expected: Partial<Decoded>): void {
  const bytes = Buffer.concat(frames)
  for (const { name, chunks } of [...chunkings(bytes), ...everySplit(bytes)]) {
    assert.deepEqual(decode(chunks), { text: '', failure: null, ...expected }, name)
  }
}

const delta = (text: string) => ({
  type: 'content_block_delta',
  index: 0,
  delta: { type: 'text_delta', text },
})
const start = { type: 'message_start', message: { usage: { input_tokens: 1 } } }
const sse = (event: { type: string }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

test('event-stream: the events of a message come out as server-sent events', () => {
  const events = [start, delta('Hello wörld 😀'), { type: 'message_stop' }]
  check(
    events.map((event) => chunkFrame(event)),
    { text: events.map((event) => sse(event)).join('') },
  )
})

test('event-stream: all six message events pass, extra fields with them', () => {
  const text = decode(messageFrames('a')).text
  assert.deepEqual(
    [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type),
    [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  const metrics = { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { a: 9 } }
  check([chunkFrame(metrics)], { text: sse(metrics) })
})

test('event-stream: white space and escapes in an event come out in the exact framing', () => {
  check([chunkFrame('{"type":"message_stop", "t" : "\\u00e9\\/"}')], {
    text: 'event: message_stop\ndata: {"type":"message_stop","t":"é/"}\n\n',
  })
})

test('event-stream: every spelling of an event comes out as JSON.stringify spells it', () => {
  const random = createRandom()
  const characters = ['a', ' ', 'é', '😀', '\u2028', '\u007f', '\\n', '\\"', '\\\\', '\\b'] as const
  const odd = ['\\/', '\\u0041', '\\u00e9', '\\ud83d', '\\u2028', '\\u000a', '\\u001f'] as const
  const indexes = [
    '0',
    '7',
    '12',
    '1.0',
    '-0',
    '1e2',
    '123456789012',
    '12345678901234567890',
  ] as const
  const names = ['text', 'thinking', 'type', '1', '__proto__', 'Text'] as const
  for (let count = 0; count < 20_000; count++) {
    const text = Array.from({ length: random.below(20) }, () =>
      random.chance(10) ? random.pick(odd) : random.pick(characters),
    ).join('')
    const space = random.chance(5) ? ' ' : ''
    const index = random.chance(70) ? '0' : random.pick(indexes)
    const name = random.chance(70) ? 'text' : random.pick(names)
    const more = random.chance(5) ? ',"more":1' : ''
    const event = `{"type":"content_block_delta",${space}"index":${index},"delta":{"type":"text_delta","${name}":"${text}"}${more}}`
    const expected = `event: content_block_delta\ndata: ${JSON.stringify(JSON.parse(event))}\n\n`
    assert.deepEqual(
      decode([chunkFrame(event)]),
      { text: expected, failure: null },
      `seed ${random.seed}: ${event}`,
    )
  }
})

test('event-stream: an event that ends too soon, or goes on, is no event', () => {
  const event = JSON.stringify(delta('a'))
  for (const text of [
    event.slice(0, -1),
    `${event}}`,
    event.replace('"a"', '"a'),
    `${event}\n{}`,
  ]) {
    assert.equal(decode([chunkFrame(text)]).failure, 'Could not parse a Bedrock chunk into JSON')
  }
})

test('event-stream: long events pass whole, shorter ones after them too', () => {
  const events = [delta('é'.repeat(4000)), delta('x'.repeat(40_000)), delta('short')]
  const bytes = Buffer.concat(events.map((event) => chunkFrame(event)))
  const text = events.map((event) => sse(event)).join('')
  for (const { name, chunks } of chunkings(bytes)) {
    assert.deepEqual(decode(chunks), { text, failure: null }, name)
  }
})

test('event-stream: pings, unknown events, values that are no event and other frames do not pass', () => {
  const others = [
    chunkFrame({ type: 'ping' }),
    chunkFrame({ type: 'weird_event' }),
    chunkFrame({ type: 'message_stop\n\nevent: message_stop' }),
    chunkFrame({}),
    chunkFrame('null'),
    chunkFrame('"message_stop"'),
    frame({ ':event-type': 'chunk', ':message-type': 'event' }, '{"p":"abc"}'),
    frame({ ':event-type': 'initial-response', ':message-type': 'event' }, '{}'),
    chunkFrame(start),
  ]
  check(others, { text: sse(start) })
})

test('event-stream: a payload in another order or spelling is read all the same', () => {
  const bytes = Buffer.from(JSON.stringify(start)).toString('base64')
  const headers = { ':event-type': 'chunk', ':message-type': 'event' }
  check(
    [
      frame(headers, `{"p":"abc","bytes":"${bytes}"}`),
      frame(headers, `{ "bytes" : "${bytes.replaceAll('/', '\\/')}" }`),
    ],
    { text: sse(start) + sse(start) },
  )
})

test('event-stream: headers of every type are walked over', () => {
  const inner = chunkFrame(start)
  const text = frame({ ':event-type': 'chunk', ':message-type': 'event' }, '')
  // AWS's codec writes text headers only through the helper; these bytes are the format's own.
  const odd = Buffer.concat([
    Buffer.from([1, 0x61, 0, 1, 0x62, 1, 1, 0x63, 2, 9, 1, 0x64, 3, 0, 9]),
    Buffer.from([1, 0x65, 4, 0, 0, 0, 9, 1, 0x66, 5, 0, 0, 0, 0, 0, 0, 0, 9]),
    Buffer.from([1, 0x67, 6, 0, 2, 7, 7, 1, 0x68, 8, 0, 0, 0, 0, 0, 0, 0, 9]),
    Buffer.concat([Buffer.from([1, 0x69, 9]), Buffer.alloc(16, 7)]),
    text.subarray(12, text.length - 4),
  ])
  const payload = inner.subarray(12 + inner.readUInt32BE(4), inner.length - 4)
  check([seal(odd, payload)], { text: sse(start) })
})

test('event-stream: headers that do not fit their room break the stream', () => {
  const broken = [
    Buffer.from([9, 0x61]),
    Buffer.from([1, 0x61]),
    Buffer.from([1, 0x61, 7]),
    Buffer.from([1, 0x61, 7, 0, 9, 0x61]),
    Buffer.from([1, 0x61, 10]),
    Buffer.from([1, 0x61, 8, 0]),
  ]
  for (const headers of broken) {
    check([seal(headers, Buffer.from('{}'))], { failure: 'the headers of a frame are broken' })
  }
})

for (const type of [
  'modelStreamErrorException',
  'throttlingException',
  'internalServerException',
  'validationException',
  'modelTimeoutException',
  'serviceUnavailableException',
]) {
  test(`event-stream: ${type} breaks the stream, first or later, with its message for the log`, () => {
    const failure = `{"type":"error","error":{"type":"${type}","message":"exc acct 1"}}`
    const exception = exceptionFrame(type, '{"message":"exc acct 1"}')
    check([exception], { failure })
    check([chunkFrame(start), exception, chunkFrame(start)], { text: sse(start), failure })
  })
}

test('event-stream: an exception nobody knows, or an error frame, is told as it came', () => {
  check([exceptionFrame('unknownException', '{"message":"m"}')], {
    failure:
      '{"type":"error","error":{"type":"unknownException","message":"{\\"message\\":\\"m\\"}"}}',
  })
  check([exceptionFrame('throttlingException', 'no json')], {
    failure: '{"type":"error","error":{"type":"throttlingException","message":"no json"}}',
  })
  check([chunkFrame(start), errorFrame('InternalError', 'went wrong')], {
    text: sse(start),
    failure: '{"type":"error","error":{"type":"InternalError","message":"went wrong"}}',
  })
})

test('event-stream: an error among the events breaks the stream', () => {
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }
  check([chunkFrame(start), chunkFrame(error), chunkFrame(start)], {
    text: sse(start),
    failure: JSON.stringify(error),
  })
})

test('event-stream: bytes that are no JSON break the stream and are not quoted', () => {
  const failure = 'Could not parse a Bedrock chunk into JSON'
  check([chunkFrame(start), chunkFrame('secret completion')], { text: sse(start), failure })
  const headers = { ':event-type': 'chunk', ':message-type': 'event' }
  check([frame(headers, '{"bytes":')], { failure: 'the payload of a frame is no JSON' })
})

test('event-stream: every wrong bit of a frame breaks the stream', () => {
  const good = chunkFrame(start)
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = Buffer.from(good)
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const { text, failure } = decode([good, bad, good])
    assert.equal(text, sse(start), `bit ${bit}`)
    assert.match(failure ?? '', /checksum/, `bit ${bit}`)
  }
})

test('event-stream: a body that ends inside a frame is broken', () => {
  const whole = chunkFrame(start)
  for (const length of [1, 11, 12, whole.length - 1]) {
    check([whole, whole.subarray(0, length)], {
      text: sse(start),
      failure: 'Truncated event message received.',
    })
  }
})

test('event-stream: an empty body is empty, and no failure', () => {
  check([], {})
})

test('event-stream: other bytes break the stream', () => {
  check([Buffer.from('<html>this is no event stream</html>')], {
    failure: 'The prelude checksum (2838999627) did not match the expected value of 1769152617',
  })
})

test('event-stream: lengths that cannot be are refused though their checksum is right', () => {
  for (const [length, headers] of [
    [15, 0],
    [16, 1],
    [0xffff_ffff, 0],
  ] as const) {
    const prelude = sealPrelude(length, headers)
    check([prelude], { failure: `a frame of ${length} bytes with ${headers} bytes of headers` })
  }
})

test('event-stream: a frame of a megabyte in small chunks takes its time once', () => {
  const large = chunkFrame(delta('x'.repeat(1024 * 1024)))
  const chunks: Buffer[] = []
  for (let at = 0; at < large.length; at += 1024) chunks.push(large.subarray(at, at + 1024))
  const { text, failure } = decode(chunks)
  assert.equal(failure, null)
  assert.equal(text.length, sse(delta('')).length + 1024 * 1024)
})

function sealPrelude(length: number, headersLength: number): Buffer {
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(length, 0)
  prelude.writeUInt32BE(headersLength, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  return prelude
}

/** A frame around bytes that the codec would not write. */
function seal(headers: Buffer, payload: Buffer): Buffer {
  const prelude = sealPrelude(16 + headers.length + payload.length, headers.length)
  const inside = Buffer.concat([prelude, headers, payload])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(inside))
  return Buffer.concat([inside, sum])
}
