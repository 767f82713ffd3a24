import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNetworkSet, normalizeAddress } from '../../lib/http/address.ts'

test('address: every spelling of one address becomes the same text', () => {
  for (const [text, expected] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:c000:0207', '192.0.2.7'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ] as const) {
    assert.equal(normalizeAddress(text), expected, text)
  }
})

test('address: what is no address is null, not a guess', () => {
  const texts = [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4:80',
    '[::1]',
  ]
  for (const text of texts) assert.equal(normalizeAddress(text), null, text)
})

test('address: a set holds single addresses and networks of both families', () => {
  const set = createNetworkSet(['192.0.2.7', '10.0.0.0/8', '2001:db8::/32', '::1'])
  assert.equal(set.empty, false)
  for (const inside of ['192.0.2.7', '10.255.0.1', '2001:db8:ffff::9', '::1']) {
    assert.equal(set.has(inside), true, inside)
  }
  for (const outside of ['192.0.2.8', '11.0.0.1', '2001:db9::1', '::2']) {
    assert.equal(set.has(outside), false, outside)
  }
})

test('address: host bits in a network are ignored', () => {
  const set = createNetworkSet(['10.1.2.3/8', '2001:db8::5/32'])
  assert.equal(set.has('10.200.0.1'), true)
  assert.equal(set.has('2001:db8:1::1'), true)
})

test('address: a network of mapped addresses is the IPv4 network behind it', () => {
  const set = createNetworkSet(['::ffff:10.0.0.0/104', '::ffff:192.0.2.7'])
  assert.equal(set.has('10.9.9.9'), true)
  assert.equal(set.has('11.0.0.1'), false)
  assert.equal(set.has('192.0.2.7'), true)
  assert.equal(createNetworkSet(['::ffff:1.2.3.4/8']).has('1.2.3.4'), false)
})

test('address: the widest networks hold everything of their family and nothing of the other', () => {
  assert.equal(createNetworkSet(['0.0.0.0/0']).has('203.0.113.9'), true)
  assert.equal(createNetworkSet(['0.0.0.0/0']).has('2001:db8::1'), false)
  assert.equal(createNetworkSet(['::/0']).has('2001:db8::1'), true)
  assert.equal(createNetworkSet(['::/0']).has('203.0.113.9'), false)
})

test('address: an empty set holds nothing', () => {
  const set = createNetworkSet([])
  assert.equal(set.empty, true)
  assert.equal(set.has('127.0.0.1'), false)
})

test('address: an entry that is no network stops the start instead of matching nothing', () => {
  for (const entry of [
    'corp',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/a',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
  ]) {
    assert.throws(() => createNetworkSet([entry]), Error, entry)
  }
})
