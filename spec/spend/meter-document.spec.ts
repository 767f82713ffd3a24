import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messageDelta, messageStart, textDelta } from '../support/message-events.ts'
import { createLines, document, measure, run, streamed, tokens } from '../support/metering.ts'
import type { Usage } from '../../lib/spend/usage.ts'

const start = messageStart({ input_tokens: 1000, output_tokens: 1 })
const text400 = textDelta('x'.repeat(400))
const json = (value: unknown): string => JSON.stringify(value)

test('meter: a JSON message gives the figures of its usage, wherever that stands', () => {
  const usage = {
    input_tokens: 1000,
    output_tokens: 500,
    cache_read_input_tokens: 7,
    cache_creation_input_tokens: 9,
    cache_creation: { ephemeral_1h_input_tokens: 4 },
    server_tool_use: { web_search_requests: 2 },
    speed: 'fast',
  }
  const expected = {
    input_tokens: 1000,
    output_tokens: 500,
    cache_read_input_tokens: 7,
    cache_creation_input_tokens: 9,
    ephemeral_1h_input_tokens: 4,
    web_search_requests: 2,
    speed: 'fast',
    estimated: false,
    inputMissing: false,
    complete: true,
  }
  const content = [{ type: 'text', text: 'modèle 😀 "usage":{"output_tokens":9}' }]
  assert.deepEqual(measure(json({ id: 'm', content, usage }), document), expected)
  assert.deepEqual(measure(json({ usage, content }), document), expected)
})

test('meter: numbers that cannot be count as 0, with one warning per model', () => {
  const { lines, openMeter } = createLines()
  const meterOf = (model: string, usage: string): Usage => {
    const meter = openMeter({ ...document, model })
    meter.chunk?.(Buffer.from(`{"usage":${usage}}`))
    meter.settle('complete')
    return meter.usage()
  }
  const negative = meterOf('a', '{"input_tokens":-1000,"output_tokens":100}')
  assert.deepEqual([negative.input_tokens, negative.output_tokens], [0, 100])
  assert.equal(meterOf('a', '{"input_tokens":1,"output_tokens":1e999}').output_tokens, 0)
  assert.equal(meterOf('b', '{"cache_read_input_tokens":-5}').cache_read_input_tokens, 0)
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /model a .*usage\.input_tokens is negative or not finite/)
  assert.match(lines[1] ?? '', /model b .*usage\.cache_read_input_tokens/)
  // Another kind of oddity is another warning.
  meterOf('a', '{"output_tokens":"5"}')
  assert.equal(lines.length, 3)
})

test('meter: warnings are bounded in number', () => {
  const { lines, openMeter } = createLines()
  for (let count = 0; count < 1100; count++) {
    const meter = openMeter({ ...document, model: `model-${count}` })
    meter.chunk?.(Buffer.from('{"usage":5}'))
    meter.settle('complete')
  }
  assert.equal(lines.length, 1000)
})

test('meter: a document without usable usage is a token for four bytes, its input is missing', () => {
  const bodies = [
    json({ content: 'x'.repeat(389) }),
    'n'.repeat(100),
    json([{ usage: { input_tokens: 1, output_tokens: 1 } }]),
    json({ message: { usage: { input_tokens: 1, output_tokens: 1 } } }),
    json({ usage: null }),
    json({ usage: 'x' }),
    json({ usage: [] }),
    json({ usage: { input_tokens: 1000, output_tokens: null } }),
    json({ usage: { input_tokens: 1000, output_tokens: '5' } }),
    json({ usage: { input_tokens: null, output_tokens: 5 } }),
    json({ usage: { output_tokens: 5, cache_read_input_tokens: '5' } }),
    '   ',
  ]
  for (const body of bodies) {
    const usage = measure(body, document)
    assert.equal(usage.output_tokens, Math.ceil(body.length / 4), body)
    assert.deepEqual(
      [usage.input_tokens, usage.estimated, usage.inputMissing],
      [0, true, true],
      body,
    )
  }
})

test('meter: a document cut before its usage is estimated by what came of it', () => {
  const usage = measure(`{"content":"${'x'.repeat(88)}`, document, 'client-gone')
  assert.deepEqual([usage.output_tokens, usage.inputMissing, usage.complete], [25, true, false])
})

test('meter: usage that was whole before a document was cut counts', () => {
  const cut = '{"usage":{"input_tokens":1000,"output_tokens":100},"content":[{"type":"te'
  const usage = measure(cut, document, 'upstream-broke')
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [1000, 100])
  assert.deepEqual([usage.estimated, usage.inputMissing, usage.complete], [false, false, false])
})

test('meter: an empty document and empty usage cost nothing', () => {
  const empty = measure('', document)
  assert.deepEqual([empty.output_tokens, empty.inputMissing, empty.complete], [0, false, false])
  const zero = measure('{"usage":{}}', document)
  assert.deepEqual([zero.input_tokens, zero.output_tokens], [0, 0])
  assert.deepEqual([zero.estimated, zero.inputMissing], [false, false])
  assert.deepEqual(tokens('{"usage":{"input_tokens":7}}', document), [7, 0])
})

test('meter: of repeated usage the last counts, and a byte order mark is no hindrance', () => {
  const body = '{"usage":{"input_tokens":1},"usage":{"input_tokens":2,"output_tokens":3}}'
  assert.deepEqual(tokens(`\uFEFF${body}`, document), [2, 3])
})

test('meter: a document of many megabytes is metered exactly and not held', () => {
  const { openMeter } = createLines()
  const meter = openMeter(document)
  const before = process.memoryUsage().arrayBuffers
  meter.chunk?.(Buffer.from('{"content":[{"text":"'))
  for (let count = 0; count < 40; count++) meter.chunk?.(Buffer.alloc(1024 * 1024, 'x'))
  meter.chunk?.(Buffer.from('"}],"usage":{"input_tokens":1000,"output_tokens":100}}'))
  assert.ok(process.memoryUsage().arrayBuffers - before < 60 * 1024 * 1024)
  meter.settle('complete')
  const { input_tokens, output_tokens, estimated } = meter.usage()
  assert.deepEqual([input_tokens, output_tokens, estimated], [1000, 100, false])
})

test('meter: usage without bound is not read', () => {
  const padding = 'x'.repeat(70 * 1024)
  const body = json({ usage: { input_tokens: 5, output_tokens: 5, padding } })
  const { meter } = run([Buffer.from(body)], document)
  assert.equal(meter.usage().output_tokens, Math.ceil(body.length / 4))
  const huge = messageDelta({ output_tokens: 5, padding: 'x'.repeat(300 * 1024) })
  const stream = run([Buffer.from(start + text400 + huge)], streamed)
  assert.equal(stream.meter.usage().output_tokens, 100)
})
