import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invalid, nestingMax, openJson, skipValue } from '../../lib/stream/json-syntax.ts'

/** Walks over one value and nothing else, at each of the four memory alignments. */
function isJson(input: string | Uint8Array): boolean {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  const results = [0, 1, 2, 3].map((shift) => {
    const memory = new Uint8Array(bytes.length + 8).fill(0x20)
    memory.set(bytes, shift)
    const view = memory.subarray(shift, shift + bytes.length)
    return skipValue(openJson(view), 0) === bytes.length
  })
  assert.equal(new Set(results).size, 1, `alignment changes the verdict on ${String(input)}`)
  return results[0] ?? false
}

function agrees(text: string): void {
  let accepted = true
  try {
    JSON.parse(text)
  } catch {
    accepted = false
  }
  assert.equal(isJson(text), accepted, JSON.stringify(text))
}

test('syntax: numbers are taken exactly when JSON.parse takes them', () => {
  const numbers =
    '0 -0 1 -1 10 01 00 -01 - + +1 .5 0.5 5. -.5 1.0 1.00 1e5 1E5 1e+5 1e-5 1e 1e+ 1.e5'
  const odd =
    '0e0 0x10 1_000 1e5.5 1..2 1.2.3 --1 1-1 Infinity -Infinity NaN 1e999 -1e-999 ١ 1\u00a0'
  for (const text of [...numbers.split(' '), ...odd.split(' ')]) agrees(text)
})

test('syntax: literals are taken in full and in lower case only', () => {
  for (const word of [
    'true',
    'false',
    'null',
    'undefined',
    'True',
    'NULL',
    'nul',
    'truee',
    'tru',
    't',
  ])
    agrees(word)
  for (const word of ['[true,false,null]', '[truefalse]', '[nulll]', '{"a":fals}']) agrees(word)
})

test('syntax: every byte inside a string is judged as JSON.parse judges it', () => {
  for (let code = 0; code <= 0xff; code++) {
    // At each place of a word of four, in strings short and long.
    for (const before of ['', 'a', 'ab', 'abc', 'abcd', 'a'.repeat(29)]) {
      agrees(`"${before}${String.fromCodePoint(code)}"`)
      agrees(`"${before}${String.fromCodePoint(code)}tail of it"`)
    }
  }
})

test('syntax: every escape is judged as JSON.parse judges it', () => {
  for (let code = 0x20; code <= 0xff; code++) agrees(`"x\\${String.fromCodePoint(code)}y"`)
  const hex = [
    '0041',
    'ABCD',
    'abcd',
    'd800',
    'DC00',
    '004',
    '00g1',
    '',
    ' 041',
    '+041',
    '\u{ff10}041',
  ]
  for (const digits of hex) agrees(`"\\u${digits}"`)
  for (const text of ['"\\', '"\\"', '"\\\\"', '"\\\\\\"', '"\\u"', '"\\u00"', '"\\u0041'])
    agrees(text)
})

test('syntax: quotes and backslashes are found at every distance', () => {
  for (let length = 0; length < 70; length++) {
    const plain = 'é'.repeat(length >> 1) + 'x'.repeat(length)
    for (const tail of ['"', '\\"', '\\\\"', '\\\\\\"', '\\n"', '\n"', '\u0000"', '']) {
      agrees(`"${plain}${tail}`)
      agrees(`["${plain}${tail},1]`)
    }
  }
})

test('syntax: bytes that are no UTF-8 are allowed in strings and nowhere else', () => {
  for (let byte = 0x80; byte <= 0xff; byte++) {
    for (const [before, behind] of [
      ['"', '"'],
      ['"abc', 'defg"'],
      ['["', '\\n"]'],
      ['', ''],
      ['[', ']'],
      ['{"a":', '}'],
      ['1', ''],
      ['[1', ',2]'],
    ] as const) {
      const bytes = Buffer.concat([Buffer.from(before), Buffer.from([byte]), Buffer.from(behind)])
      let accepted = true
      try {
        JSON.parse(bytes.toString())
      } catch {
        accepted = false
      }
      assert.equal(isJson(bytes), accepted, bytes.toString('hex'))
      assert.equal(accepted, before.includes('"') && !before.includes(':'))
    }
  }
})

test('syntax: containers must be closed by their own bracket and separated by one comma', () => {
  const whole = '[] {} [[]] [{}] {"a":{}} {"a":[]} [1,2] {"a":[1,{"b":2}]}'
  const unclosed = '[ ] { } [} {] [[] []] {"a":[}] [{]} [1 {"a":1 {"a"} {"a":1}} [][] {"a":1}[]'
  const commas = '[,] [1,] [,1] [1,,2] {,} {"a":1,} {,"a":1} {"a":1,"b"} {"a","b"} {"a":1,,"b":2}'
  const colons = '{"a"::1} {"a":} {:1} {a:1} {1:1} {null:1} {"a":1:2} [1:2] ["a":1] """" \'a\''
  const foreign =
    '[1]x x[1] /**/[] []// [1,/**/2] #[] []; \u2028[] \v[] \f[] [\u00a0] [1\u0000] \u0000'
  for (const text of `${whole} ${unclosed} ${commas} ${colons} ${foreign}`.split(' ')) agrees(text)
  const spaced = [
    '[ ]',
    '{ }',
    '[1 ,\t2]',
    '{ "a" : 1 , "b":2 }',
    '{"a" 1}',
    '[1 2]',
    '{"a":1 "b":2}',
    '"a" "b"',
  ]
  for (const text of spaced) agrees(text)
})

test('syntax: nesting is taken up to its bound and refused above it', () => {
  const nested = (depth: number, open: string, close: string): string =>
    open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth)
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    assert.equal(isJson(nested(nestingMax, open, close)), true)
    assert.equal(isJson(nested(nestingMax + 1, open, close)), false)
    assert.equal(isJson(open.repeat(nestingMax)), false)
  }
  // Depth that was left again doesn't count.
  assert.equal(isJson(`[${'[[]],'.repeat(nestingMax)}1]`), true)
})

test('syntax: a million brackets neither overflow the stack nor take long', () => {
  const bytes = Buffer.alloc(1_000_000, '[')
  assert.equal(skipValue(openJson(bytes), 0), invalid)
})

test('syntax: a walk that failed leaves nothing behind for the next one', () => {
  assert.equal(isJson('[[{"a":[{"b":'), false)
  assert.equal(isJson('{"a":{"b":[1,{"c":2}]}}'), true)
})
