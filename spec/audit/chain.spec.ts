import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import {
  append,
  follows,
  genesis,
  isSigned,
  keyIdOf,
  parse,
  signHead,
} from '../../lib/audit/chain.ts'

test('chain: a record says what it follows, and any change shows', () => {
  const first = append(genesis, '{"a":1}')
  const second = append(first.head, '{"b":2}')
  const record = parse(second.line.trimEnd())
  assert.ok(record !== null)
  assert.ok(follows(first.head, record))
  assert.ok(!follows(genesis, record))
  for (const line of [
    second.line.replace('"b":2', '"b":3'),
    second.line.replace(/^2 /, '3 '),
    second.line.replace(/ ([0-9a-f])/, (_, digit: string) => ` ${digit === '0' ? '1' : '0'}`),
  ]) {
    const changed = parse(line.trimEnd())
    assert.ok(changed === null || !follows(first.head, changed), line)
  }
})

test('chain: what has another form is no record', () => {
  for (const line of ['', '1', '1 abc {}', `1 ${'0'.repeat(64)} []`, `x ${'0'.repeat(64)} {}`]) {
    assert.equal(parse(line), null, line)
  }
})

test('chain: a head is signed by any of the usual kinds of key', () => {
  const pairs = [
    generateKeyPairSync('ed25519'),
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ]
  const { head } = append(genesis, '{}')
  for (const { privateKey, publicKey } of pairs) {
    const signature = signHead(head, privateKey)
    assert.ok(isSigned(head, signature, publicKey))
    assert.ok(!isSigned(genesis, signature, publicKey))
    assert.ok(!isSigned(head, `${signature.slice(0, -6)}AAAA==`, publicKey))
    assert.equal(keyIdOf(privateKey), keyIdOf(publicKey))
  }
})
