import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  scanJsonBody,
  type JsonBody,
  type JsonEdit,
  type JsonValue,
} from '../../lib/stream/json-body.ts'
import { createRandom, type Random } from '../support/random.ts'

/** Enough to meet each rule thousands of times; about a second each on a busy machine. */
const rounds = 6_000

const uniqueKeys = ['model', 'stream', 'anthropic_version', 'anthropic_beta', 'tags']
const keyPool = [
  'model',
  'stream',
  'anthropic_version',
  'anthropic_beta',
  'tags',
  'messages',
  '__proto__',
  'constructor',
  '',
  'a',
  'モデル',
  '"',
  '\\\\',
  'x y',
  '😀',
] as const
const texts = [
  '',
  'x',
  '日本語',
  'a"b',
  '\\',
  '\n\t',
  '😀',
  '\u2028',
  'word '.repeat(12),
  '\u007f',
] as const
const numbers = ['0', '-0', '1.0', '1e400', '-1E-5', '12345678901234567890', '0.10', '7'] as const

const editValues: readonly [JsonValue, ...JsonValue[]] = ['new "value"', ['日本'], 5, null, {}]

/** Writes JSON of every legal spelling, not only of the one `JSON.stringify` has. */
function createWriter(random: Random) {
  const space = (): string =>
    random.chance(80) ? '' : random.pick([' ', '\n', '\r\n', '\t', '  \n  '] as const)
  const unit = (char: string): string => {
    const escaped = `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
    if (random.chance(8))
      return random.chance(50) ? escaped : escaped.toUpperCase().replace('U', 'u')
    return JSON.stringify(char).slice(1, -1)
  }
  // Code points, so that a pair of surrogates is not torn into two escapes of one.
  const string = (text: string): string =>
    `"${Array.from(text, (char) => (char.length > 1 ? char : unit(char))).join('')}"`
  const list = (items: string[]): string => space() + items.join(`${space()},${space()}`) + space()
  const value = (depth: number): string => {
    const kind = random.below(depth > 4 ? 4 : 7)
    const count = random.below(5)
    switch (kind) {
      case 0:
        return random.pick(['true', 'false', 'null'] as const)
      case 1:
        return random.pick(numbers)
      case 2:
      case 3:
        return string(random.pick(texts) + random.pick(texts))
      case 4:
        return `[${list(Array.from({ length: count }, () => value(depth + 1)))}]`
      default:
        return object(count, depth)
    }
  }
  const object = (count: number, depth: number): string => {
    const member = (): string =>
      `${string(random.pick(keyPool))}${space()}:${space()}${value(depth + 1)}`
    return `{${list(Array.from({ length: count }, member))}}`
  }
  return { document: () => space() + object(random.below(8), 0) + space(), value: () => value(0) }
}

/** Damages a document a little: most results are no JSON, many still are. */
function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length)
  const end = Math.min(bytes.length, at + 1 + random.below(4))
  const odd = Buffer.from(
    '"\\{}[]:,0-+.eEu\n\r\t \u0000\u001f\u00e9tfn/'.split('').toSorted().join(''),
  )
  const byte = Buffer.from([
    random.chance(70) ? (odd[random.below(odd.length)] ?? 0) : random.below(256),
  ])
  switch (random.below(5)) {
    case 0: // replace
      return Buffer.concat([bytes.subarray(0, at), byte, bytes.subarray(at + 1)])
    case 1: // insert
      return Buffer.concat([bytes.subarray(0, at), byte, bytes.subarray(at)])
    case 2: // delete
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    case 3: // truncate
      return bytes.subarray(0, at)
    default: // repeat
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
  }
}

/** The top-level keys of a valid JSON object, found another way: by regular expression. */
function topKeys(text: string): string[] {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s"[\]{}:,]+/gsu) ?? []
  const keys: string[] = []
  let depth = 0
  for (const [index, token] of tokens.entries()) {
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    if (depth === 1 && tokens[index + 1] === ':') keys.push(String(JSON.parse(token)))
  }
  return keys
}

function parse(text: string): { kind: 'json'; value: unknown } | { kind: 'invalid' } {
  try {
    return { kind: 'json', value: JSON.parse(text) }
  } catch {
    return { kind: 'invalid' }
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `__proto__` made by JSON.parse is an own property that plain indexing would miss. */
const own = (value: object, key: string): unknown =>
  Object.getOwnPropertyDescriptor(value, key)?.value

/**
 * A key that is a lone backslash. Once JSON.parse of V8 13.6 has met one, it reads other keys of
 * one escaped letter, such as "\\n", as that backslash, and is no judge any more.
 */
const spoilsTheJudge = /"(?:\\\\|\\u005c)"\s*:/i

function compare(bytes: Buffer, about: string): JsonBody | undefined {
  const text = bytes.toString()
  if (spoilsTheJudge.test(text)) return undefined
  const expected = parse(text)
  const result = scanJsonBody(bytes)
  if (expected.kind === 'invalid') {
    assert.equal(result.kind, 'invalid', about)
    return undefined
  }
  if (!isObject(expected.value)) {
    assert.equal(result.kind, 'not-an-object', about)
    return undefined
  }
  const keys = topKeys(text)
  const repeated = uniqueKeys.filter((key) => keys.indexOf(key) !== keys.lastIndexOf(key))
  if (repeated.length > 0) {
    assert.equal(result.kind, 'duplicate', about)
    assert.ok(result.kind === 'duplicate' && repeated.includes(result.key), about)
    return undefined
  }
  assert.ok(result.kind === 'ok', about)
  assert.deepEqual(result.body.keys(), keys, about)
  for (const key of [...keys, ...uniqueKeys, 'absent']) {
    const value = own(expected.value, key)
    assert.equal(result.body.has(key), Object.hasOwn(expected.value, key), about)
    assert.deepEqual(result.body.value(key), value, about)
    assert.equal(result.body.truthy(key), Boolean(value), about)
    assert.equal(result.body.stringValue(key), typeof value === 'string' ? value : undefined, about)
  }
  return result.body
}

test('body fuzz: every legal spelling is read as JSON.parse reads it', () => {
  const random = createRandom()
  const writer = createWriter(random)
  for (let round = 0; round < rounds; round++) {
    const bytes = Buffer.from(writer.document())
    compare(bytes, `seed ${random.seed}, round ${round}: ${bytes.toString()}`)
  }
})

test('body fuzz: damaged documents are refused exactly when JSON.parse refuses them', () => {
  const random = createRandom()
  const writer = createWriter(random)
  const kinds = { ok: 0, refused: 0 }
  for (let round = 0; round < rounds; round++) {
    let bytes: Buffer = Buffer.from(writer.document())
    for (let damage = 1 + random.below(3); damage > 0; damage--) bytes = mutate(bytes, random)
    const about = `seed ${random.seed}, round ${round}: ${bytes.toString('latin1')}`
    if (compare(bytes, about)) kinds.ok++
    else kinds.refused++
  }
  // A fuzzer whose every document is refused, or none, would show nothing.
  assert.ok(kinds.ok > rounds / 50 && kinds.refused > rounds / 4, JSON.stringify(kinds))
})

test('body fuzz: any JSON value at the top that is no object is told apart', () => {
  const random = createRandom()
  const writer = createWriter(random)
  for (let round = 0; round < rounds / 4; round++) {
    const bytes = Buffer.from(writer.value())
    compare(bytes, `seed ${random.seed}, round ${round}: ${bytes.toString()}`)
  }
})

/** What the edits must come to, on key and raw value pairs. */
function model(body: JsonBody, edits: readonly JsonEdit[]): [string, string][] {
  const raw = (key: string): string => Buffer.from(body.rawValue(key) ?? []).toString()
  let members = body.keys().map((key): [string, string] => [key, raw(key)])
  const last = new Map(edits.map((edit) => [edit.key, edit]))
  for (const edit of edits.filter((edit) => last.get(edit.key) === edit)) {
    if (edit.kind === 'remove') members = members.filter(([key]) => key !== edit.key)
    else if (members.every(([key]) => key !== edit.key))
      members.push([edit.key, JSON.stringify(edit.value)])
    else
      members = members.map(([key, value]) => [
        key,
        key === edit.key ? JSON.stringify(edit.value) : value,
      ])
  }
  return members
}

function rescan(bytes: Uint8Array): JsonBody {
  const result = scanJsonBody(bytes)
  return result.kind === 'ok' ? result.body : assert.fail(Buffer.from(bytes).toString())
}

test('body fuzz: edits change what they name and leave every other value its bytes', () => {
  const random = createRandom()
  const writer = createWriter(random)
  for (let round = 0; round < rounds; round++) {
    const text = writer.document()
    const result = scanJsonBody(Buffer.from(text))
    if (result.kind !== 'ok') continue
    const { body } = result
    // Repeated keys have values that only the last of can be asked for; they have tests of their own.
    if (new Set(body.keys()).size < body.keys().length) continue
    const edits = Array.from({ length: random.below(5) }, (): JsonEdit => {
      const key = random.pick(keyPool)
      if (random.chance(50)) return { kind: 'remove', key }
      return { kind: 'set', key, value: random.pick(editValues) }
    })
    const about = `seed ${random.seed}, round ${round}: ${text} with ${JSON.stringify(edits)}`
    const edited = Buffer.from(body.edit(edits))
    const after = compare(edited, about) ?? assert.fail(about)
    const found = after
      .keys()
      .map((key) => [key, Buffer.from(after.rawValue(key) ?? []).toString()])
    assert.deepEqual(found, model(body, edits), about)
    assert.equal(Buffer.from(body.bytes).toString(), text, about)
    const outside = (all: string): [string, string] => [
      all.slice(0, all.indexOf('{') + 1),
      all.slice(all.lastIndexOf('}')),
    ]
    assert.deepEqual(outside(edited.toString()), outside(text), about)
    const less = body.without('tags')
    assert.deepEqual(
      Buffer.from(less.bytes),
      Buffer.from(body.edit([{ kind: 'remove', key: 'tags' }])),
    )
    assert.deepEqual(
      Buffer.from(less.edit(edits)),
      Buffer.from(rescan(less.bytes).edit(edits)),
      about,
    )
  }
})
