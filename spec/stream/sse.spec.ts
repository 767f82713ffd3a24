import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createSseScanner } from '../../lib/stream/sse.ts'
import { chunkings, everySplit } from '../support/chunkings.ts'
import { createRandom } from '../support/random.ts'

interface Seen {
  readonly type: string
  readonly data: string | null
  readonly chars: number
}

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/streams/${name}`, import.meta.url), 'utf8')

function createCollector(wants: (type: string) => boolean = () => true, common?: string) {
  const events: Seen[] = []
  const asked: string[] = []
  const scanner = createSseScanner({
    ...(common === undefined ? {} : { common }),
    wants(type) {
      asked.push(type)
      return wants(type)
    },
    event(type, data, chars) {
      events.push({ type, data: data && Buffer.from(data).toString(), chars })
    },
  })
  return { scanner, events, asked }
}

function collect(
  chunks: readonly Uint8Array[],
  wants?: (type: string) => boolean,
  common?: string,
): Seen[] {
  const { scanner, events } = createCollector(wants, common)
  for (const chunk of chunks) {
    const before = Buffer.from(chunk)
    scanner.push(chunk)
    assert.deepEqual(Buffer.from(chunk), before, 'the bytes of a chunk were changed')
  }
  return events
}

/** The standard's algorithm, line by line over the whole text: slow, plain, and independent. */
function reference(text: string): Seen[] {
  const events: Seen[] = []
  let type = ''
  let data: string[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  lines.pop() // What follows the last line end is no line yet.
  for (const line of lines) {
    if (line === '') {
      const joined = data.join('\n')
      if (data.length > 0) events.push({ type, data: joined, chars: joined.length })
      type = ''
      data = []
      continue
    }
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') type = value
    if (name === 'data') data.push(value)
  }
  return events
}

function agrees(text: string): Seen[] {
  const expected = reference(text)
  for (const { name, chunks } of chunkings(text)) {
    assert.deepEqual(collect(chunks), expected, `${name} of ${JSON.stringify(text)}`)
  }
  // Naming a common type changes how its events are found, not what is reported of them.
  for (const common of new Set(expected.map(({ type }) => type))) {
    const wants = (type: string): boolean => type !== common
    const passed = collect([Buffer.from(text)], wants)
    for (const { name, chunks } of chunkings(text)) {
      assert.deepEqual(
        collect(chunks, wants, common),
        passed,
        `${name} of ${JSON.stringify(text)}, mostly ${common}`,
      )
    }
  }
  return expected
}

test('sse: the events of a message come out with type, data and length', () => {
  const events = agrees(fixture('message.sse'))
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'message_start',
      'content_block_start',
      'ping',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  assert.equal(events[7]?.data, '{"type":"message_stop"}')
  assert.equal(events[7].chars, 23)
})

test('sse: comments, ids, retries, CRLF, lost spaces and data in several lines are understood', () => {
  const events = agrees(fixture('odd.sse'))
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'message_start',
      'weird_event',
      'content_block_delta',
      '',
      'ping',
      'error',
      '',
      'message_stop',
    ],
  )
  assert.equal(
    events[2]?.data,
    '{"type":"content_block_delta",\n"index":0,"delta":{"type":"text_delta","text":"a\\u00e9 \\/"}}',
  )
})

test('sse: every cut in two gives the same events', () => {
  for (const name of ['message.sse', 'odd.sse']) {
    const text = fixture(name)
    for (const lineEnd of ['\n', '\r\n', '\r']) {
      const input = text.replaceAll('\r\n', '\n').replaceAll('\n', lineEnd)
      const expected = reference(input)
      assert.ok(expected.length > 7)
      for (const split of everySplit(input)) {
        assert.deepEqual(collect(split.chunks), expected, `${name} ${split.name}`)
      }
    }
  }
})

test('sse: each line end works, and all of them mixed', () => {
  assert.equal(agrees('event: a\ndata: 1\n\nevent: b\ndata: 2\n\n').length, 2)
  assert.equal(agrees('event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n').length, 2)
  assert.equal(agrees('event: a\rdata: 1\r\revent: b\rdata: 2\r\r').length, 2)
  assert.equal(agrees('event: a\rdata: 1\n\r\nevent: b\r\ndata: 2\n\r').length, 2)
  assert.equal(agrees('data: 1\n\r\rdata: 2\r\n\n\n\r\ndata: 3\r\r\n').length, 3)
})

test('sse: odd lines mean what the standard says', () => {
  const data = 'data|data:|data: |data:x|data:  x|data: x\ndata|data: x\ndata: y\ndata:|data: a:b:c'
  const names =
    'datax: 1|dat: 1|Data: 1|data : 1|  data: 1|\tdata: 1|eventy: 1\ndata: 1|even: t\ndata: 1'
  const types =
    'event|event:|event\ndata: x|event: a\nevent: b\ndata: 1|data: 1\nevent: late|event: a'
  const others = ':comment|: data: 1|::|:\ndata: 1|id: 7\ndata: 1|retry: 1|event: a\nevent\ndata: 1'
  const letters = 'event:  spaced \ndata: 1|data: モデル😀é|event: é\n:x'
  const texts = [data, names, types, others, letters].join('|').split('|')
  for (const text of texts) {
    agrees(`${text}\n\n`)
    agrees(`${text}\n\nevent: next\ndata: 2\n\n`)
  }
})

test('sse: a byte order mark is dropped before the first line, and only there', () => {
  assert.equal(agrees('\uFEFFevent: a\ndata: 1\n\n')[0]?.type, 'a')
  assert.equal(agrees('\uFEFF\uFEFFevent: a\ndata: 1\n\n')[0]?.type, '')
  assert.equal(agrees('data: 0\n\n\uFEFFevent: a\ndata: 1\n\n')[1]?.type, '')
})

test('sse: an event that is cut off is not reported', () => {
  const whole = 'event: a\ndata: 1\n\n'
  for (let length = 0; length < whole.length; length++) {
    assert.deepEqual(collect([Buffer.from(whole.slice(0, length))]), [])
  }
})

test('sse: at the end of the stream a half event is reported as far as it came', () => {
  const whole = 'data: 0\n\nevent: a\ndata: {"x":1}'
  for (const [text, last] of [
    [whole, '{"x":1}'],
    [`${whole}\n`, '{"x":1}'],
    [whole.slice(0, -2), '{"x":'],
    [whole.slice(0, whole.indexOf('{')), ''],
    [`${whole}\n\n`, null],
    [`${whole}\n\n: comment`, null],
    [whole.slice(0, whole.indexOf('data: {')), null],
    ['', null],
  ] as const) {
    for (const { name, chunks } of chunkings(text)) {
      const { scanner, events } = createCollector()
      for (const chunk of chunks) scanner.push(chunk)
      const before = events.length
      const closing = scanner.closing()
      scanner.finish()
      scanner.finish()
      assert.equal(scanner.closing(), closing)
      const added = events.slice(before)
      const expected = last === null ? [] : [{ type: 'a', data: last, chars: last.length }]
      assert.deepEqual(added, expected, `${name} of ${JSON.stringify(text)}`)
    }
  }
})

test('sse: random streams give what the standard says, in every chunking', () => {
  const random = createRandom()
  const lines = ['', '', '', ':c', ': ', 'event: content_block_delta', 'event: ping', 'event:x']
  lines.push('data: {"a":1}', 'data', 'data:', 'data: é', 'data: 😀\uFEFF', 'id: 1', 'x', 'event')
  lines.push('d', 'e: 1', 'dat', 'ev')
  for (let round = 0; round < 400; round++) {
    let text = random.chance(10) ? '\uFEFF' : ''
    for (let count = random.below(14); count > 0; count--) {
      text += lines[random.below(lines.length)] ?? ''
      text += random.pick(['\n', '\n', '\r\n', '\r'] as const)
    }
    const expected = reference(text)
    for (const { name, chunks } of chunkings(text, random)) {
      const about = `seed ${random.seed}, round ${round}, ${name}: ${JSON.stringify(text)}`
      assert.deepEqual(collect(chunks), expected, about)
    }
  }
})

test('sse: only wanted data is handed out, and the length of all of it is known', () => {
  const text = fixture('message.sse')
  for (const { name, chunks } of chunkings(text)) {
    const events = collect(chunks, (type) => type === 'message_delta')
    const kept = events.filter(({ data }) => data !== null)
    assert.equal(kept.length, 1, name)
    assert.equal(kept[0]?.type, 'message_delta', name)
    assert.deepEqual(
      events.map(({ chars }) => chars),
      reference(text).map(({ chars }) => chars),
      name,
    )
  }
})

test('sse: whether data is wanted is asked once per event, with the type known by then', () => {
  const { scanner, asked } = createCollector()
  scanner.push(
    Buffer.from('event: a\ndata: 1\ndata: 2\n\ndata: 3\nevent: late\n\nevent: b\n\n: c\n\n'),
  )
  assert.deepEqual(asked, ['a', ''])
})

test('sse: data behind an unwanted event is not taken for its own', () => {
  const events = collect(
    [Buffer.from('event: no\ndata: 1\n\nevent: yes\ndata: 2\n\nevent: no\ndata: 3\n\n')],
    (type) => type === 'yes',
  )
  assert.deepEqual(
    events.map(({ data }) => data),
    [null, '2', null],
  )
})

test('sse: events of the common type are passed over in any spelling and at any cut', () => {
  const delta = (data: string): string => `event: delta\ndata: ${data}\n\n`
  const spellings = [
    delta('plain') + delta('more'),
    delta('caf\u00e9 \u{1f375} \u20ac'),
    delta(''),
    `event: delta\ndata:no space\n\n${delta('next')}`,
    `event:delta\ndata: no space\n\n${delta('next')}`,
    `event: delta\r\ndata: CRLF\r\n\r\n${delta('next')}`,
    `event: delta\ndata: two\ndata: lines\n\n${delta('next')}`,
    `event: delta\ndata: one\nid: 7\n\n${delta('next')}`,
    `event: delta\ndata: a\rb\n\n${delta('next')}`,
    `event: delta2\ndata: another type\n\n${delta('next')}`,
    `${delta('a')}: comment\n\n${delta('b')}event: stop\ndata: {}\n\n`,
    `\uFEFF${delta('behind a mark')}${delta('next')}`,
    `${delta('a')}\uFEFF${delta('behind a mark too late')}${delta('next')}`,
    `${delta('a')}event: delta\ndata: cut off`,
    `${delta('a')}event: del`,
  ]
  for (const text of spellings) {
    const expected = reference(text).map((seen) =>
      seen.type === 'delta' ? { ...seen, data: null } : seen,
    )
    for (const { name, chunks } of [...chunkings(text), ...everySplit(text)]) {
      const found = collect(chunks, (type) => type !== 'delta', 'delta')
      assert.deepEqual(found, expected, `${name} of ${JSON.stringify(text)}`)
    }
  }
})

test('sse: lengths count UTF-16 units, whatever the chunking', () => {
  for (const text of ['a', 'é', 'モデル', '😀', 'a😀é\u007f\u0080\u07ff\u0800\uffff\u{10000}']) {
    const [event] = agrees(`data: ${text}\n\n`)
    assert.equal(event?.chars, text.length)
  }
})

test('sse: it is known at each byte whether a new event may follow, and what closes a half one', () => {
  const cases: readonly (readonly [string, boolean, string])[] = [
    ['', true, ''],
    ['e', false, '\n\n'],
    ['event: a', false, '\n\n'],
    ['event: a\n', false, '\n'],
    ['event: a\r\n', false, '\n'],
    ['event: a\r', false, '\n\n'],
    [': comment\r', true, ''],
    ['event: a\ndata: {"x', false, '\n\n'],
    ['event: a\ndata: 1\n', false, '\n'],
    ['event: a\ndata: 1\n\n', true, ''],
    ['event: a\r\ndata: 1\r\n\r', true, ''],
    ['event: a\r\ndata: 1\r\n\r\n', true, ''],
    ['data: 1\r\r', true, ''],
    [': comment', false, '\n'],
    [': comment\n', true, ''],
    ['data: 1\n: comment', false, '\n\n'],
    ['data: 1\n\n: comment', false, '\n'],
    ['id', false, '\n\n'],
    ['id: 1\n', false, '\n'],
    ['\n\n\n', true, ''],
  ]
  for (const [text, atBoundary, closing] of cases) {
    for (const { name, chunks } of chunkings(text)) {
      const { scanner } = createCollector()
      for (const chunk of chunks) scanner.push(chunk)
      assert.equal(scanner.atBoundary(), atBoundary, `${name} of ${JSON.stringify(text)}`)
      assert.equal(scanner.closing(), closing, `${name} of ${JSON.stringify(text)}`)
    }
  }
})

test('sse: an event written behind a closed half event stands alone', () => {
  const text = fixture('odd.sse')
  const error = 'event: error\ndata: {"type":"error"}\n\n'
  for (let length = 0; length <= text.length; length++) {
    const cut = Buffer.from(text).subarray(0, length)
    const { scanner } = createCollector()
    scanner.push(cut)
    const whole = cut.toString() + scanner.closing() + error
    const last = reference(whole).at(-1)
    assert.deepEqual([last?.type, last?.data], ['error', '{"type":"error"}'], `cut at ${length}`)
  }
})

test('sse: data above 256 KiB is not kept, and the next event is found', () => {
  const tooMuch = 'x'.repeat(256 * 1024 + 5000)
  const text = `event: big\ndata: ${tooMuch}\n\nevent: next\ndata: 1\n\n`
  for (const size of [1000, 65_536, text.length]) {
    const { scanner, events } = createCollector()
    for (let at = 0; at < text.length; at += size)
      scanner.push(Buffer.from(text.slice(at, at + size)))
    assert.deepEqual(events, [
      { type: 'big', data: null, chars: tooMuch.length },
      { type: 'next', data: '1', chars: 1 },
    ])
  }
  const exact = collect([Buffer.from(`data: ${tooMuch.slice(5000)}\n\n`)])
  assert.equal(exact[0]?.data?.length, 256 * 1024)
})

test('sse: a type or a line without end takes no memory to speak of', () => {
  const { scanner, events } = createCollector(() => false)
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const before = process.memoryUsage()
  for (const start of ['event: ', 'data: ', 'other: ', ': ', '']) {
    scanner.push(Buffer.from(start))
    for (let count = 0; count < 20; count++) scanner.push(chunk)
    scanner.push(Buffer.from('\n'))
  }
  scanner.push(Buffer.from('\n'))
  const after = process.memoryUsage()
  assert.equal(events.length, 1)
  assert.deepEqual(events[0], { type: 'x'.repeat(64), data: null, chars: 20 * 1024 * 1024 })
  assert.ok(after.arrayBuffers - before.arrayBuffers < 8 * 1024 * 1024)
})

test('sse: a type longer than 64 bytes is not mistaken for a known one', () => {
  const known = 'k'.repeat(64)
  const events = collect([Buffer.from(`event: ${known}tail\ndata: 1\n\nevent: k\ndata: 2\n\n`)])
  assert.deepEqual(
    events.map(({ type }) => type),
    [known, 'k'],
  )
})

test('sse: bytes that are no UTF-8 and bytes of any value do no harm', () => {
  const random = createRandom()
  for (let round = 0; round < 200; round++) {
    const bytes = Buffer.from(Array.from({ length: random.below(300) }, () => random.below(256)))
    const whole = collect([bytes])
    for (const { name, chunks } of chunkings(bytes, random)) {
      assert.deepEqual(collect(chunks), whole, `seed ${random.seed}, round ${round}, ${name}`)
    }
  }
})

test('sse: an event is reported alike however long it is and whatever its type is', () => {
  for (const length of [0, 1, 4094, 4095, 4096, 4097, 9000]) {
    for (const type of ['ping', 'message_start', 'big', '', 'x'.repeat(64), ' two  spaces ']) {
      const data = `${'a'.repeat(length)}é😀`
      const text = `event: ${type}\ndata: ${data}\n\nevent: ping\ndata: {}\n\n`
      const bytes = Buffer.from(text)
      const expected = reference(text)
      assert.equal(expected.length, 2)
      const cut = bytes.length >> 1
      for (const chunks of [[bytes], [bytes.subarray(0, cut), bytes.subarray(cut)]]) {
        assert.deepEqual(collect(chunks), expected)
        const dropped = expected.map((event) => ({ ...event, data: null }))
        assert.deepEqual(
          collect(chunks, () => false),
          dropped,
        )
      }
    }
  }
})

test('sse: data above the bound of what is kept is not kept, in whatever way it is read', () => {
  const seen: (number | null)[] = []
  const scanner = createSseScanner(
    { wants: () => true, event: (_type, data) => void seen.push(data && data.length) },
    10,
  )
  for (const length of [10, 11]) {
    const text = `event: e\ndata: ${'x'.repeat(length)}\n\n`
    scanner.push(Buffer.from(text))
    for (const byte of Buffer.from(text)) scanner.push(Uint8Array.of(byte))
  }
  assert.deepEqual(seen, [10, 10, null, null])
})
