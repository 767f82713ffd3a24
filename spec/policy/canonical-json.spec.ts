/** JSON with sorted keys, and its hash. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson, checksumOf } from '../../lib/policy/canonical-json.ts'
import { recorded } from './recorded-managed.ts'

test('canonical json: keys are sorted at every level, lists keep their order', () => {
  assert.equal(
    canonicalJson({ b: [{ z: 1, a: 2 }, 3], a: null }),
    '{"a":null,"b":[{"a":2,"z":1},3]}',
  )
  assert.equal(canonicalJson({ é: 'ü', Z: '\u2028', a: '"' }), '{"Z":"\u2028","a":"\\"","é":"ü"}')
})

test('canonical json: a key called __proto__ is a key', () => {
  assert.equal(
    canonicalJson(JSON.parse('{"b":1,"__proto__":{"a":1}}')),
    '{"__proto__":{"a":1},"b":1}',
  )
})

test('checksum: of nothing is the known one', () => {
  assert.equal(
    checksumOf({}),
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  )
})

test('checksum: every recorded document has the recorded one', () => {
  const documents = recorded.filter(({ body }) => body.startsWith('{"uuid"'))
  assert.ok(documents.length > 30)
  for (const { body } of documents) {
    const { checksum, settings } = JSON.parse(body)
    assert.equal(checksumOf(settings), checksum)
  }
})

test('checksum: numbers as keys sort as JavaScript has them, as recorded', () => {
  const settings = { env: { 10: 'a', 9: 'b', A: 'c', é: 'x', '😀': 'y', '\uE000': 'z' } }
  assert.equal(
    checksumOf(settings),
    'sha256:8a1f77331c4fd0e0c4fec5be64db968587b2bdba13075490e2aad84ff733f138',
  )
})
