import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inputBound } from '../../lib/spend/input-bound.ts'
import { scanJsonBody } from '../../lib/stream/json-body.ts'

function boundOf(body: string | object) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const scan = scanJsonBody(bytes)
  assert.ok(scan.kind === 'ok')
  return { ...inputBound(scan.body), bytes: bytes.length }
}

const say = (content: unknown): object => ({ messages: [{ role: 'user', content }] })
const whole = 1_000_000

test('input bound: text has at most a token for each byte, in every language', () => {
  for (const text of ['hello', '1 2 3 4 5 6 7 8 9', '王伟很高兴', '🦀🦀', '\u0000\u001f', '"\\"']) {
    const { tokens, searches, bytes } = boundOf(say(text.repeat(50)))
    assert.equal(tokens, bytes)
    assert.ok(tokens >= Buffer.byteLength(text.repeat(50)), 'JSON makes no text shorter')
    assert.equal(searches, 0)
  }
  assert.equal(boundOf('{}').tokens, 2)
})

test('input bound: no more than the largest context window', () => {
  assert.equal(boundOf(say('x'.repeat(2_000_000))).tokens, whole)
})

test('input bound: a picture counts as the largest one, however small it is', () => {
  const source = { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' }
  const picture = { type: 'image', source }
  const inResult = { type: 'tool_result', tool_use_id: 't', content: [picture] }
  const { tokens, bytes } = boundOf(say([picture, inResult]))
  assert.equal(tokens, bytes + 2 * 4784)
  assert.equal(boundOf(say(Array.from({ length: 500 }, () => picture))).tokens, whole)
  const talk = boundOf(say('{"type":"image"}'))
  assert.equal(talk.tokens, talk.bytes, 'talk about pictures is text')
})

test('input bound: tools bring a prompt of the provider along', () => {
  const custom = { name: 'read', input_schema: { properties: { image: {}, document: {} } } }
  const { tokens, bytes, searches } = boundOf({ tools: [custom], ...say('x') })
  assert.equal(tokens, bytes + 4000)
  assert.equal(searches, 0)
})

test('input bound: what is read elsewhere may fill the context window', () => {
  for (const body of [
    say([{ type: 'document', source: { type: 'url', url: 'https://x.example/a.pdf' } }]),
    say([{ type: 'document', source: { type: 'file', file_id: 'f' } }]),
    { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }], ...say('x') },
    { tools: [{ type: 'code_execution_20250825', name: 'code_execution' }], ...say('x') },
    { tools: [{ type: 'mcp_toolset', mcp_server_name: 'm' }], ...say('x') },
    { mcp_servers: [{ type: 'url', url: 'https://x.example' }], ...say('x') },
  ]) {
    assert.deepEqual(
      { ...boundOf(body), bytes: 0 },
      { tokens: whole, searches: 0, bytes: 0 },
      JSON.stringify(body),
    )
  }
})

test('input bound: web searches count as often as they are allowed', () => {
  const searches = (...tools: object[]): number => boundOf({ tools, ...say('x') }).searches
  const search = { type: 'web_search_20250305', name: 'web_search' }
  assert.equal(searches({ ...search, max_uses: 8 }), 8)
  assert.equal(searches({ ...search, max_uses: 2 }, { name: 'x' }, { ...search, max_uses: 3 }), 5)
  for (const max_uses of [undefined, null, '3', -1]) {
    assert.equal(searches({ ...search, max_uses }), 10, String(max_uses))
  }
  assert.equal(searches({ ...search, max_uses: 1e308 }, { ...search, max_uses: 1e308 }), 10_000)
  assert.equal(searches({ ...search, max_uses: 3 }, { name: 'n'.repeat(70_000) }), 10, 'unread')
  assert.equal(searches({ name: 'web_search', max_uses: 5 }), 0, 'a tool of the client')
  assert.equal(boundOf({ tools: [search] }).tokens, whole)
})

test('input bound: a body that hides its words gets the highest', () => {
  for (const body of [
    String.raw`{"messages":[{"content":[{"type":"im\u0061ge"}]}]}`,
    String.raw`{"messages":[{"content":[{"type":"doc\u0075ment"}]}]}`,
    String.raw`{"tools":[{"type":"web\u005fsearch_20250305","max_uses":7}],"messages":[]}`,
    String.raw`{"m\u0065ssages":[]}`,
    String.raw`{"messages":"\\\u0041"}`,
  ]) {
    assert.equal(boundOf(body).tokens, whole, body)
  }
  assert.equal(
    boundOf(String.raw`{"tools":[{"type":"web\u005fsearch_20250305","max_uses":7}]}`).searches,
    7,
  )
})

test('input bound: text of other letters, and talk about escapes, hides nothing', () => {
  for (const body of [
    String.raw`{"messages":"caf\u00e9 \u738b \u0000 \u001f \u003c"}`,
    String.raw`{"messages":"write \\u0061 for a"}`,
    String.raw`{"messages":"\\\\u0061"}`,
  ]) {
    const { tokens, bytes } = boundOf(body)
    assert.equal(tokens, bytes, body)
  }
})

test('input bound: a hostile body costs no more time than its length', () => {
  const bodies = [
    String.raw`\\u0061`.repeat(1_000_000),
    `${'\\\\'.repeat(40_000)}\\\\u0061`.repeat(100),
    String.raw`\u00e9`.repeat(1_000_000),
    String.raw`\"image\"`.repeat(500_000),
  ]
  for (const text of bodies) {
    const scan = scanJsonBody(Buffer.from(`{"messages":"${text}"}`))
    assert.ok(scan.kind === 'ok')
    const startedAt = performance.now()
    inputBound(scan.body)
    const took = performance.now() - startedAt
    // Some 20 ms for seven megabytes; quadratic it would be minutes.
    assert.ok(took < 2000, `${took} ms for ${text.slice(0, 20)}`)
  }
})
