import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanJsonBody, type JsonBody, type JsonEdit } from '../../lib/stream/json-body.ts'

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

function scan(text: string): JsonBody {
  const result = scanJsonBody(bytesOf(text))
  assert.equal(result.kind, 'ok', text.slice(0, 100))
  return result.kind === 'ok' ? result.body : assert.fail()
}

function edit(text: string, ...edits: JsonEdit[]): string {
  return Buffer.from(scan(text).edit(edits)).toString()
}

const set = (key: string, value: Extract<JsonEdit, { kind: 'set' }>['value']): JsonEdit => ({
  kind: 'set',
  key,
  value,
})
const remove = (key: string): JsonEdit => ({ kind: 'remove', key })

test('body: the values of top-level keys are read, nested ones of the same name are not', () => {
  const body = scan(
    '{"metadata":{"model":"inner","stream":false},"model":"claude-sonnet-4-6","messages":[{"model":1}],"stream":true}',
  )
  assert.deepEqual(body.keys(), ['metadata', 'model', 'messages', 'stream'])
  assert.equal(body.stringValue('model'), 'claude-sonnet-4-6')
  assert.equal(body.truthy('stream'), true)
  assert.deepEqual(body.value('metadata'), { model: 'inner', stream: false })
  assert.equal(Buffer.from(body.rawValue('messages') ?? []).toString(), '[{"model":1}]')
  assert.equal(body.has('system'), false)
  assert.equal(body.value('system'), undefined)
  assert.equal(body.rawValue('system'), undefined)
})

test('body: space of every kind may stand between all parts', () => {
  const body = scan(' \t\r\n{ \n"model"\t:\r"m" , "stream" : true\n} \r\n\t')
  assert.equal(body.stringValue('model'), 'm')
  assert.equal(body.truthy('stream'), true)
})

test('body: an escaped key is the key it spells', () => {
  const body = scan('{"mod\\u0065l":"a\\u0062c","\\u0073tream":true,"\\"":1,"モ\\u30c7ル":2}')
  assert.deepEqual(body.keys(), ['model', 'stream', '"', 'モデル'])
  assert.equal(body.stringValue('model'), 'abc')
  assert.equal(body.truthy('stream'), true)
})

test('body: a model that is missing, empty, null or no string can be told apart', () => {
  assert.equal(scan('{}').has('model'), false)
  assert.equal(scan('{"model":""}').stringValue('model'), '')
  for (const value of ['null', '1', 'true', '[]', '{}', '["m"]']) {
    const body = scan(`{"model":${value}}`)
    assert.equal(body.has('model'), true)
    assert.equal(body.stringValue('model'), undefined, value)
  }
})

test('body: truth is JavaScript truth', () => {
  const numbers = '0 -0 0.0 0e9 -0.00E+1 1e-999 1 -1 1e999 5e-324'
  const others = 'true false null "" "0" "false" "\\u0000" [] {} [0] {"a":0}'
  const values = `${numbers} ${others}`.split(' ')
  for (const value of values) {
    assert.equal(scan(`{"stream":${value}}`).truthy('stream'), Boolean(JSON.parse(value)), value)
  }
  assert.equal(scan('{"a":true}').truthy('stream'), false)
})

test('body: bytes that are no UTF-8 are taken inside strings and kept as they are', () => {
  const bytes = Buffer.concat([
    Buffer.from('{"model":"m","messages":"'),
    Buffer.from([0xff, 0xc3, 0xed, 0xa0, 0x80, 0xf4]),
    Buffer.from('"}'),
  ])
  const result = scanJsonBody(bytes)
  assert.ok(result.kind === 'ok')
  const edited = result.body.edit([set('model', 'x')])
  assert.deepEqual(edited.subarray(11), bytes.subarray(11))
})

test('body: a repeated key that decides or is edited is refused, in whatever spelling (B024)', () => {
  const cases = {
    model: '{"model":"a","x":1,"model":"b"}',
    stream: '{"stream":true,"\\u0073tream":true}',
    anthropic_version: '{"anthropic_version":1,"anthropic_version":1}',
    anthropic_beta: '{"anthropic_bet\\u0061":[],"anthropic_beta":[]}',
    tags: '{"tags":{},"t\\u0061gs":{},"tags":{}}',
  }
  for (const [key, text] of Object.entries(cases)) {
    assert.deepEqual(scanJsonBody(bytesOf(text)), { kind: 'duplicate', key })
  }
  assert.deepEqual(scanJsonBody(bytesOf('{"mod\\u0065l":"a","m\\u006fdel":"a"}')), {
    kind: 'duplicate',
    key: 'model',
  })
})

test('body: a repeated key is reported only when the body is JSON to its end', () => {
  assert.deepEqual(scanJsonBody(bytesOf('{"model":"a","model":"b"')), { kind: 'invalid' })
  assert.deepEqual(scanJsonBody(bytesOf('{"model":"a","model":"b"} x')), { kind: 'invalid' })
})

test('body: keys below the top and keys that only look alike may repeat', () => {
  scan('{"a":{"model":1,"model":2},"model":"m","Model":"n","model ":"o","mode":"p"}')
})

test('body: any other key may repeat; its last value is read and all its bytes stay', () => {
  const text = '{"x":1,"model":"m","x":2}'
  assert.equal(scan(text).value('x'), 2)
  assert.deepEqual(scan(text).keys(), ['x', 'model', 'x'])
  assert.equal(edit(text, set('model', 'n')), '{"x":1,"model":"n","x":2}')
})

test('body: __proto__ is a key like any other and reaches nothing', () => {
  const text = '{"__proto__":{"model":"evil","stream":true},"constructor":1,"model":"m"}'
  const body = scan(text)
  assert.equal(body.stringValue('model'), 'm')
  assert.equal(body.has('stream'), false)
  assert.equal(body.has('toString'), false)
  assert.equal(Object.hasOwn(Object.prototype, 'model'), false)
  assert.equal(edit(text, set('model', 'n')), text.replace('"m"', '"n"'))
})

test('body: JSON that is no object is told apart from no JSON', () => {
  for (const text of ['[]', '[{"model":"m"}]', 'null', ' 1 ', '"{}"', 'true', '-0.5e+3']) {
    assert.deepEqual(scanJsonBody(bytesOf(text)), { kind: 'not-an-object' }, text)
  }
  for (const text of ['', ' ', '[', 'nul', 'tru e', '{} {}', '[] []', '01', '1 2', "{'a':1}"]) {
    assert.deepEqual(scanJsonBody(bytesOf(text)), { kind: 'invalid' }, text)
  }
})

test('body: a byte order mark, UTF-16 and compressed bytes are no JSON', () => {
  const utf16 = Buffer.from('{"model":"m"}', 'utf16le')
  const gzip = Buffer.from([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0])
  for (const bytes of [bytesOf('\uFEFF{"model":"m"}'), utf16, gzip]) {
    assert.deepEqual(scanJsonBody(bytes), { kind: 'invalid' })
  }
})

test('body: an edit changes its value and no other byte', () => {
  const text =
    ' {"max_tokens" : 1.0, "model":\t"claude-x" ,"big":12345678901234567890, "s":"\\u00e9\\/"}\n'
  assert.equal(
    edit(text, set('model', 'claude-"y"')),
    text.replace('"claude-x"', '"claude-\\"y\\""'),
  )
  assert.equal(
    edit(text, set('big', ['a', { b: null }])),
    text.replace(/1234\d+/, '["a",{"b":null}]'),
  )
})

test('body: a removed key goes with one comma, wherever it stands', () => {
  const text = '{ "a":1 , "b":[2,{"c":3}] ,\n "d":"4" }'
  assert.equal(edit(text, remove('a')), '{ "b":[2,{"c":3}] ,\n "d":"4" }')
  assert.equal(edit(text, remove('b')), '{ "a":1 , "d":"4" }')
  assert.equal(edit(text, remove('d')), '{ "a":1 , "b":[2,{"c":3}] }')
  assert.equal(edit(text, remove('a'), remove('b')), '{ "d":"4" }')
  assert.equal(edit(text, remove('b'), remove('d')), '{ "a":1 }')
  assert.equal(edit(text, remove('a'), remove('d')), '{ "b":[2,{"c":3}] }')
  assert.equal(edit(text, remove('a'), remove('b'), remove('d')), '{  }')
})

test('body: a new key stands last, in the order asked for', () => {
  const version = set('anthropic_version', 'bedrock-2023-05-31')
  assert.equal(edit('{}', version), '{"anthropic_version":"bedrock-2023-05-31"}')
  assert.equal(edit('{ }', set('a', 1)), '{"a":1 }')
  assert.equal(edit('{"a":1 }', version), '{"a":1,"anthropic_version":"bedrock-2023-05-31" }')
  assert.equal(edit('{"a":1}', set('b', [1]), set('c', 'd')), '{"a":1,"b":[1],"c":"d"}')
})

test('body: what an upstream does at once: translate, remove, add', () => {
  const text = '{"model":"m","stream":true,"x":1,"tags":{"a":"b"},"y":2,"anthropic_beta":["p"]}'
  assert.equal(
    edit(
      text,
      remove('model'),
      remove('stream'),
      remove('tags'),
      set('anthropic_beta', ['p', 'q']),
    ),
    '{"x":1,"y":2,"anthropic_beta":["p","q"]}',
  )
  assert.equal(
    edit('{"model":"m","stream":true}', remove('model'), remove('stream'), set('v', 1)),
    '{"v":1}',
  )
  assert.equal(
    edit('{"x":1,"model":"m", "tags":{} }', remove('model'), remove('tags'), set('v', 1)),
    '{"x":1,"v":1 }',
  )
})

test('body: an edit of a repeated key reaches every one of them', () => {
  const text = '{"x":1,"y":2,"x":3}'
  assert.equal(edit(text, set('x', 0)), '{"x":0,"y":2,"x":0}')
  assert.equal(edit(text, remove('x')), '{"y":2}')
})

test('body: of two edits of one key the last counts', () => {
  assert.equal(edit('{"a":1}', set('a', 2), remove('a')), '{}')
  assert.equal(edit('{"a":1}', remove('a'), set('a', 2)), '{"a":2}')
  assert.equal(edit('{"a":1}', set('b', 2), set('b', 3)), '{"a":1,"b":3}')
})

test('body: without an edit that applies the very bytes come back', () => {
  const body = scan('{"a":1}')
  assert.equal(body.edit([]), body.bytes)
  assert.equal(body.edit([remove('tags')]), body.bytes)
})

test('body: one body can be edited for one upstream after the other', () => {
  const body = scan('{"model":"m","stream":true}')
  const before = Buffer.from(body.bytes).toString()
  assert.equal(
    Buffer.from(body.edit([set('model', 'a')])).toString(),
    '{"model":"a","stream":true}',
  )
  assert.equal(Buffer.from(body.edit([remove('model')])).toString(), '{"stream":true}')
  assert.equal(Buffer.from(body.bytes).toString(), before)
})

test('body: an escaped key is edited in its own spelling', () => {
  assert.equal(edit('{"mod\\u0065l":"m","x":1}', set('model', 'n')), '{"mod\\u0065l":"n","x":1}')
  assert.equal(edit('{"mod\\u0065l":"m","x":1}', remove('model')), '{"x":1}')
})

test('body: values above 64 KiB are not parsed, but pass and can be edited', () => {
  const text = `{"model":"${'m'.repeat(64 * 1024)}","x":1}`
  const body = scan(text)
  assert.equal(body.has('model'), true)
  assert.equal(body.stringValue('model'), undefined)
  assert.equal(body.value('model'), undefined)
  assert.equal(body.rawValue('model')?.length, 64 * 1024 + 2)
  assert.equal(body.truthy('model'), true)
  assert.equal(edit(text, set('model', 'n')), '{"model":"n","x":1}')
  assert.equal(scan(`{"model":"${'m'.repeat(64 * 1024 - 2)}"}`).stringValue('model')?.length, 65534)
})

test('body: keys above 1024 bytes have no name, and pass', () => {
  const long = 'k'.repeat(1025)
  const text = `{"${long}":1,"model":"m","${long}":2}`
  assert.deepEqual(scan(text).keys(), ['model'])
  assert.equal(scan(text).has(long), false)
  assert.equal(edit(text, remove('model')), `{"${long}":1,"${long}":2}`)
})

test('body: ten thousand top-level keys are taken, one more is refused', () => {
  const members = Array.from({ length: 10_000 }, (_, index) => `"k${index}":0`)
  const body = scan(`{${members.join()}}`)
  assert.equal(body.keys().length, 10_000)
  assert.equal(body.value('k9999'), 0)
  assert.deepEqual(scanJsonBody(bytesOf(`{${members.join()},"a":0}`)), { kind: 'invalid' })
})

test('body: without a key it is the body of a client that never sent it', () => {
  const cases = [
    ['{"tags":{"a":1},"model":"m","stream":true}', '{"model":"m","stream":true}'],
    ['{"model":"m", "tags":{"a":1} ,\n"stream":true}', '{"model":"m", "stream":true}'],
    ['{"model":"m","stream":true , "tags":[] }', '{"model":"m","stream":true }'],
    [' { "tags":1 } ', ' {  } '],
    ['{"a":1,"a":2,"tags":"日本","a":3,"model":"m"}', '{"a":1,"a":2,"a":3,"model":"m"}'],
  ] as const
  for (const [sent, expected] of cases) {
    const left = scan(sent).without('tags')
    assert.equal(Buffer.from(left.bytes).toString(), expected)
    const anew = scan(expected)
    assert.deepEqual(left.keys(), anew.keys(), sent)
    for (const key of ['tags', ...anew.keys()]) {
      assert.deepEqual(left.rawValue(key), anew.rawValue(key), key)
      assert.equal(left.truthy(key), anew.truthy(key), key)
    }
    const edits = [set('model', 'other'), remove('stream'), set('new', 1)]
    assert.deepEqual(Buffer.from(left.edit(edits)), Buffer.from(anew.edit(edits)), sent)
  }
})

test('body: without a key that is not there it is itself', () => {
  const body = scan('{"model":"m","metadata":{"tags":1}}')
  assert.equal(body.without('tags'), body)
})
