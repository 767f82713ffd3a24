import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../lib/kernel/spelling.ts'

const keys = ['listen', 'oidc', 'session', 'store', 'upstreams', 'public_url', 'port', 'host']

test('spelling: slips of one or two letters find their word', () => {
  assert.deepEqual(nearest('listn', keys), ['listen'])
  assert.deepEqual(nearest('upsteams', keys), ['upstreams'])
  assert.deepEqual(nearest('prot', keys), ['port'])
})

test('spelling: the same letters in another case, order or joining find their word', () => {
  assert.deepEqual(nearest('publicUrl', keys), ['public_url'])
  assert.deepEqual(nearest('SESSION', keys), ['session'])
})

test('spelling: a short word allows one slip only, a far word finds nothing', () => {
  assert.deepEqual(nearest('zzzz', keys), [])
  assert.deepEqual(nearest('pots', keys), [])
  assert.deepEqual(nearest('database', keys), [])
})

test('spelling: at most three, nearest first', () => {
  assert.deepEqual(nearest('abcde', ['abcxx', 'abcde1', 'abcdx', 'abxde', 'abcde2']), [
    'abcde1',
    'abcde2',
    'abcdx',
  ])
})

test('spelling: a word of unreasonable length costs nothing', () => {
  assert.deepEqual(nearest('x'.repeat(1_000_000), keys), [])
})
