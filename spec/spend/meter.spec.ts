import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  event,
  messageDelta,
  messageStart,
  messageStop,
  textDelta,
} from '../support/message-events.ts'
import { createLines, document, measure, run, streamed, tokens } from '../support/metering.ts'

const start = messageStart({ input_tokens: 1000, output_tokens: 1 })
const text400 = textDelta('x'.repeat(400))
const json = (value: unknown): string => JSON.stringify(value)

test('meter: a streamed message gives the figures of its first and last usage', () => {
  const fixture = readFileSync(new URL('../fixtures/streams/message.sse', import.meta.url), 'utf8')
  assert.deepEqual(measure(fixture), {
    input_tokens: 1000,
    output_tokens: 500,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
    ephemeral_1h_input_tokens: 0,
    web_search_requests: 0,
    speed: null,
    estimated: false,
    inputMissing: false,
    complete: true,
  })
})

test('meter: totals of a stream are those last said', () => {
  const said = (...usages: unknown[]): string =>
    start + usages.map(messageDelta).join('') + messageStop
  assert.deepEqual(tokens(said({ output_tokens: 100 }, { output_tokens: 300 })), [1000, 300])
  assert.deepEqual(tokens(said({ output_tokens: 300 }, { output_tokens: 100 })), [1000, 100])
  assert.deepEqual(tokens(said({ output_tokens: 300 }, { output_tokens: 0 })), [1000, 0])
  assert.deepEqual(tokens(said({ output_tokens: 200 }, {})), [1000, 200])
  assert.deepEqual(tokens(said({ input_tokens: 2000, output_tokens: 1 })), [2000, 1])
  assert.deepEqual(tokens(said({ input_tokens: 0, output_tokens: 1 })), [1000, 1])
  assert.deepEqual(tokens(said({ input_tokens: null, output_tokens: 1 })), [1000, 1])
  assert.deepEqual(tokens(said({ output_tokens: 10.5 })), [1000, 10.5])
  const calls = [{ input_tokens: 1500 }, { input_tokens: 1500 }]
  assert.deepEqual(
    tokens(said({ input_tokens: 3000, output_tokens: 1, iterations: calls })),
    [3000, 1],
  )
})

test('meter: output that was not reported is a quarter of the characters of the deltas', () => {
  const repeat = (count: number, text: string): string => textDelta(text).repeat(count)
  const cases: readonly (readonly [string, number])[] = [
    [repeat(1, 'x'.repeat(4000)), 1000],
    [repeat(1, 'x'.repeat(400)), 100],
    [repeat(10, 'x'), 3],
    [repeat(7, 'x'), 2],
    [repeat(4, 'xxx'), 3],
    [textDelta('xxxx', 10), 2],
    [repeat(1, ''), 0],
    [textDelta('\n'.repeat(100)), 50],
    [textDelta('モ'.repeat(400)), 100],
    [textDelta('😀'.repeat(400)), 200],
    [textDelta('x').replace('"x"', `"${'\\u30e2'.repeat(400)}"`), 600],
  ]
  for (const [body, expected] of cases) {
    const usage = measure(body)
    assert.equal(usage.output_tokens, expected, body.slice(0, 200))
    assert.equal(usage.estimated, true)
    assert.equal(usage.complete, false)
  }
})

test('meter: every kind of delta counts, by the length of its event', () => {
  const delta = (value: unknown): string =>
    event('content_block_delta', { type: 'content_block_delta', index: 0, delta: value })
  const text = 'x'.repeat(4000)
  const count = (value: unknown): number => measure(delta(value)).output_tokens
  assert.equal(count({ type: 'thinking_delta', thinking: text }), 1002)
  assert.equal(count({ type: 'input_json_delta', partial_json: text }), 1004)
  assert.equal(count({ type: 'signature_delta', signature: text }), 1003)
  // As it was sent, with whatever else it holds.
  const spaced = `{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "${'x'.repeat(400)}"}}`
  assert.equal(measure(event('content_block_delta', spaced)).output_tokens, 102)
  const cut = text400.slice(text400.indexOf('{'), -4)
  assert.equal(measure(event('content_block_delta', cut)).output_tokens, 100)
})

test('meter: events shorter than an empty delta take nothing away, other events add nothing', () => {
  const short = event('content_block_delta', '{}')
  assert.equal(measure(short + text400 + short).output_tokens, 100)
  const block = { type: 'tool_use', name: 'x'.repeat(400), input: {} }
  const others =
    event('content_block_start', { type: 'content_block_start', index: 0, content_block: block }) +
    event('ping', { type: 'ping', text: 'x'.repeat(400) }) +
    event('foo', { type: 'content_block_delta', text: 'x'.repeat(400) }) +
    'data: [DONE]\n\n'
  assert.equal(measure(others).output_tokens, 0)
})

test('meter: a stream that never reports output is estimated, whatever it started with', () => {
  const startedWith500 = messageStart({ input_tokens: 1000, output_tokens: 500 })
  for (const end of ['', messageDelta(), messageDelta({}), messageDelta(null), messageStop]) {
    const usage = measure(startedWith500 + text400 + end)
    assert.deepEqual([usage.input_tokens, usage.output_tokens], [1000, 100], end)
    assert.equal(usage.estimated, true)
    assert.equal(usage.complete, end === messageStop)
  }
  assert.deepEqual(tokens(text400), [0, 100])
  assert.deepEqual(tokens(messageStart() + text400), [0, 100])
  assert.deepEqual(tokens(''), [0, 0])
})

test('meter: reported output of 0 is no estimate', () => {
  const usage = measure(start + text400 + messageDelta({ output_tokens: 0 }) + messageStop)
  assert.deepEqual([usage.output_tokens, usage.estimated, usage.complete], [0, false, true])
})

test('meter: an aborted or cut stream is billed as far as it came', () => {
  const body = start + textDelta('x'.repeat(100)).repeat(6)
  for (const outcome of ['client-gone', 'upstream-broke', 'timeout'] as const) {
    const usage = measure(body, streamed, outcome)
    assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.complete], [1000, 150, false])
  }
})

test('meter: a half event at the end counts as far as it came', () => {
  const delta = messageDelta({ output_tokens: 500 })
  assert.deepEqual(tokens(start + text400 + delta.trimEnd()), [1000, 500])
  assert.deepEqual(tokens(`${start + text400 + delta.trimEnd()}\n`), [1000, 500])
  // 398 characters lie between the braces of an empty delta: 100 of 400 are cut, 2 line feeds too.
  assert.deepEqual(tokens(start + text400.slice(0, -100)), [1000, 76])
  assert.deepEqual(tokens(start + delta.slice(0, -10)), [1000, 0])
})

test('meter: events without an event line are known by their data', () => {
  const bare = (body: string): string => body.replaceAll(/^event: .*\n/gm, '')
  assert.deepEqual(
    tokens(bare(start + text400 + messageDelta({ output_tokens: 500 }))),
    [1000, 500],
  )
  assert.deepEqual(tokens(bare(start + text400)), [1000, 100])
  assert.equal(measure(bare(start + messageStop)).complete, true)
  const reversed = `data: ${json({ message: { usage: { input_tokens: 5 } }, type: 'message_start' })}\n\n`
  assert.deepEqual(tokens(reversed), [5, 0])
})

test('meter: an event whose name and data disagree reports nothing', () => {
  const usage = { output_tokens: 500 }
  const renamed = messageDelta(usage).replace('event: message_delta', 'event: foo')
  assert.deepEqual(tokens(start + text400 + renamed), [1000, 100])
  const other = event('message_delta', { type: 'foo', usage })
  assert.deepEqual(tokens(start + text400 + other), [1000, 100])
})

test('meter: usage at other places of an event is not taken for it', () => {
  const usage = { output_tokens: 500 }
  const elsewhere =
    event('message_stop', { type: 'message_stop', usage }) +
    event('message_delta', { type: 'message_delta', delta: { usage } }) +
    event('error', { type: 'error', error: { type: 'overloaded_error' }, usage })
  assert.deepEqual(tokens(start + text400 + elsewhere), [1000, 100])
  assert.deepEqual(
    tokens(event('message_start', { type: 'message_start', usage: { input_tokens: 5 } })),
    [0, 0],
  )
})

test('meter: line ends, comments, ids and byte order marks change nothing', () => {
  const body = start + text400 + messageDelta({ output_tokens: 500 }) + messageStop
  for (const form of [
    body.replaceAll('\n', '\r\n'),
    body.replaceAll('\n', '\r'),
    `\uFEFF${body}`,
    body.replaceAll('event:', ': comment\nid: 7\nevent:'),
    body.replaceAll('data: ', 'data:'),
    body.replaceAll(/(event: .*)\n(data: .*)\n/g, '$2\n$1\n'),
  ]) {
    assert.deepEqual(tokens(form), [1000, 500], form.slice(0, 80))
  }
})

test('meter: usage of a wrong shape is left out as a whole, with one warning per model', () => {
  const bad: readonly unknown[] = [
    { output_tokens: '500' },
    { output_tokens: null },
    { output_tokens: 500, cache_read_input_tokens: '5' },
    { output_tokens: 500, input_tokens: '2000' },
    { output_tokens: 500, server_tool_use: 'x' },
    'x',
  ]
  for (const usage of bad) {
    const body = start + text400 + messageDelta(usage)
    assert.deepEqual(tokens(body), [1000, 100], json(usage))
    const { lines } = run([Buffer.from(body + messageDelta(usage))], streamed)
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', / warn usage metering: model claude-sonnet-4-6 .*shape \(usage/)
  }
  assert.deepEqual(
    tokens(start + messageDelta({ output_tokens: 300 }) + messageDelta({ output_tokens: null })),
    [1000, 300],
  )
  const badStart = messageStart({ input_tokens: 1000, output_tokens: 'x' })
  assert.deepEqual(tokens(badStart + messageDelta({ output_tokens: 100 })), [0, 100])
})

test('meter: how a body is read follows its content type, not what was asked for', () => {
  const events = start + messageDelta({ output_tokens: 100 })
  const message = json({ usage: { input_tokens: 1000, output_tokens: 100 } })
  for (const streams of [true, false]) {
    for (const contentType of ['text/event-stream', 'Text/Event-Stream;charset=utf-8']) {
      assert.deepEqual(tokens(events, { ...streamed, contentType, streams }), [1000, 100])
    }
    for (const contentType of ['application/json', 'text/plain', null]) {
      assert.deepEqual(tokens(message, { ...streamed, contentType, streams }), [1000, 100])
      assert.equal(
        tokens(events, { ...streamed, contentType, streams })[1],
        Math.ceil(events.length / 4),
      )
    }
  }
})

test('meter: the input of a stream is never counted by other means, nor that of a stream asked for', () => {
  assert.equal(measure(text400, { ...streamed, streams: false }).inputMissing, false)
  assert.equal(measure(json({ a: 1 }), { ...document, streams: true }).inputMissing, false)
})

test('meter: the figures can be read while the reply runs', () => {
  const { openMeter } = createLines()
  const meter = openMeter(streamed)
  assert.equal(meter.usage().input_tokens, 0)
  meter.chunk?.(Buffer.from(start))
  assert.equal(meter.usage().input_tokens, 1000)
  meter.chunk?.(Buffer.from(text400))
  assert.equal(meter.usage().output_tokens, 100)
  meter.chunk?.(Buffer.from(messageDelta({ output_tokens: 7 })))
  assert.deepEqual([meter.usage().output_tokens, meter.usage().complete], [7, false])
})

test('meter: it tells what closes a half event of a stream, and that a document cannot be closed', () => {
  const { openMeter } = createLines()
  const meter = openMeter(streamed)
  assert.equal(meter.closing(), '')
  meter.chunk?.(Buffer.from(start))
  assert.equal(meter.closing(), '')
  meter.chunk?.(Buffer.from('event: content_block_delta\ndata: {"ty'))
  assert.equal(meter.closing(), '\n\n')
  const other = openMeter(document)
  other.chunk?.(Buffer.from('{'))
  assert.equal(other.closing(), null)
})

test('meter: whatever an upstream sends, it does not throw', () => {
  const odd = [
    'null',
    '5',
    '"x"',
    '[]',
    '[{"usage":1}]',
    '{"message":null}',
    '{"type":5}',
    '{"a":',
    '',
  ]
  const usages = ['null', '[]', '{"cache_creation":5}', '{"__proto__":{"output_tokens":5}}']
  const bodies = odd.concat(usages.map((usage) => `{"type":"message_delta","usage":${usage}}`))
  for (const data of bodies) {
    for (const type of ['message_start', 'message_delta', 'message_stop', '', 'error']) {
      assert.doesNotThrow(() => run([Buffer.from(event(type, data))], streamed), `${type} ${data}`)
    }
    assert.doesNotThrow(() => run([Buffer.from(data)], document), data)
  }
})
