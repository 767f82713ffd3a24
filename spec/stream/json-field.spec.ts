import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFieldScanner } from '../../lib/stream/json-field.ts'
import { chunkings, everySplit } from '../support/chunkings.ts'
import { createRandom } from '../support/random.ts'

interface Found {
  readonly value: string | null
  readonly closed: boolean
}

function scan(chunks: readonly Uint8Array[], name = 'usage', maxBytes = 1000): Found {
  const scanner = createFieldScanner(name, maxBytes)
  for (const chunk of chunks) scanner.push(chunk)
  const value = scanner.value()
  return { value: value && Buffer.from(value).toString(), closed: scanner.closed() }
}

function expectEverywhere(text: string, expected: Found): void {
  for (const { name, chunks } of [...chunkings(text), ...everySplit(text)]) {
    assert.deepEqual(scan(chunks), expected, `${name} of ${text}`)
  }
}

test('field: the value of the top-level key is found, wherever it stands', () => {
  const usage = '{"input_tokens":1,"output_tokens":[2,{"x":"}"}]}'
  for (const text of [
    `{"usage":${usage}}`,
    `{"id":"msg","usage":${usage},"content":[]}`,
    `{"content":[{"text":"a, b: {c} [d]"}],"usage":${usage}}`,
  ]) {
    expectEverywhere(text, { value: usage, closed: true })
  }
})

test('field: white space around the value is not cut off, and harmless', () => {
  expectEverywhere(' \n{ "usage" :\t{ "a": 1 } , "b" : 2 }\n', {
    value: '\t{ "a": 1 } ',
    closed: true,
  })
})

test('field: scalars, strings and arrays are values too', () => {
  for (const value of ['null', '12', 'true', '"text"', '"a,b}"', '"\\"}"', '[]', '[1,[2]]', '{}']) {
    expectEverywhere(`{"usage":${value}}`, { value, closed: true })
    expectEverywhere(`{"usage":${value},"x":1}`, { value, closed: true })
  }
})

test('field: keys of the same name below the top, and values that spell it, are not it', () => {
  for (const text of [
    '{"message":{"usage":{"a":1}}}',
    '{"list":[{"usage":1}],"usages":2,"usag":3,"Usage":4," usage":5}',
    '{"a":"usage","b":["usage",":",1]}',
    '{"a":"\\"usage\\":1"}',
    '{"a\\"usage":1}',
    '{}',
  ]) {
    expectEverywhere(text, { value: null, closed: true })
  }
})

test('field: of a repeated key the last value counts', () => {
  expectEverywhere('{"usage":1,"x":[],"usage":{"b":2}}', { value: '{"b":2}', closed: true })
})

test('field: quotes and brackets inside strings, and runs of backslashes, mislead nobody', () => {
  const odd = '"\\\\","\\"}]","{[\\\\\\"","\\u0022}","\\\\\\\\"'
  expectEverywhere(`{"x":[${odd}],"usage":7}`, { value: '7', closed: true })
})

test('field: a document that is cut gives what was whole, and is not closed', () => {
  const whole = '{"a":"x","usage":{"b":1},"c":[]}'
  const known = whole.indexOf(',"c"')
  for (let length = 0; length < whole.length; length++) {
    const expected = { value: length > known ? '{"b":1}' : null, closed: false }
    assert.deepEqual(scan([Buffer.from(whole.slice(0, length))]), expected, whole.slice(0, length))
  }
})

test('field: a repeated key that is cut leaves no value', () => {
  assert.deepEqual(scan([Buffer.from('{"usage":1,"usage":2')]), { value: null, closed: false })
})

test('field: what is no object has no keys', () => {
  for (const text of [
    '[{"usage":1}]',
    '"usage":1',
    'usage',
    'event: x\ndata: {"usage":1}\n\n',
    '1',
  ]) {
    expectEverywhere(text, { value: null, closed: false })
  }
  assert.deepEqual(scan([]), { value: null, closed: false })
})

test('field: a byte order mark may stand first', () => {
  expectEverywhere('\uFEFF{"usage":1}', { value: '1', closed: true })
})

test('field: nothing behind the last brace is looked at', () => {
  expectEverywhere('{"usage":1}{"usage":2}', { value: '1', closed: true })
})

test('field: a value above the bound is not kept, one at the bound is', () => {
  const value = `"${'x'.repeat(98)}"`
  assert.equal(scan([Buffer.from(`{"usage":${value}}`)], 'usage', 100).value, value)
  assert.equal(scan([Buffer.from(`{"usage": ${value}}`)], 'usage', 100).value, null)
  // A later, smaller one is.
  assert.equal(scan([Buffer.from(`{"usage": ${value},"usage":1}`)], 'usage', 100).value, '1')
})

test('field: a document of any size and depth takes no memory to speak of', () => {
  const scanner = createFieldScanner('usage', 1000)
  const before = process.memoryUsage().arrayBuffers
  scanner.push(Buffer.from('{"text":"'))
  for (let count = 0; count < 50; count++) scanner.push(Buffer.alloc(1024 * 1024, 'x'))
  scanner.push(Buffer.from('","deep":'))
  scanner.push(Buffer.alloc(1024 * 1024, '['))
  scanner.push(Buffer.alloc(1024 * 1024, ']'))
  scanner.push(Buffer.from(',"usage":{"a":1}}'))
  assert.equal(Buffer.from(scanner.value() ?? []).toString(), '{"a":1}')
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024)
})

test('field: random documents give what JSON.parse gives, in every chunking', () => {
  const random = createRandom()
  // No key is a lone backslash: V8 13.6 misreads other keys after one.
  const texts = ['', 'usage', '"', 'c\\', 'a,b:{}[]', 'é😀', '\\"usage\\":1', '\n'] as const
  const value = (depth: number): unknown => {
    const count = random.below(4)
    switch (random.below(depth > 3 ? 3 : 5)) {
      case 0:
        return random.below(1000) / 8
      case 1:
        return random.pick([true, false, null] as const)
      case 2:
        return random.pick(texts) + random.pick(texts)
      case 3:
        return Array.from({ length: count }, () => value(depth + 1))
      default:
        return Object.fromEntries(
          Array.from({ length: count }, () => [
            random.chance(30) ? 'usage' : random.pick(texts),
            value(depth + 1),
          ]),
        )
    }
  }
  for (let round = 0; round < 300; round++) {
    const document = Object.fromEntries(
      Array.from({ length: random.below(5) }, () => [
        random.chance(30) ? 'usage' : random.pick(texts),
        value(0),
      ]),
    )
    const text = JSON.stringify(document, null, random.below(3))
    const own = Object.hasOwn(document, 'usage') ? document['usage'] : undefined
    for (const { name, chunks } of chunkings(text, random)) {
      const about = `seed ${random.seed}, round ${round}, ${name}: ${text}`
      const found = scan(chunks, 'usage', 100_000)
      assert.equal(found.closed, true, about)
      assert.deepEqual(found.value === null ? undefined : JSON.parse(found.value), own, about)
    }
  }
})

test('field: bytes of any value do no harm', () => {
  const random = createRandom()
  for (let round = 0; round < 300; round++) {
    const noise = Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)))
    const bytes = Buffer.concat([Buffer.from('{"usage":'), noise])
    const whole = scan([bytes])
    for (const { name, chunks } of chunkings(bytes, random)) {
      assert.deepEqual(scan(chunks), whole, `seed ${random.seed}, round ${round}, ${name}`)
    }
  }
})
