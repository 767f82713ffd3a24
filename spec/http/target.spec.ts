import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTarget } from '../../lib/http/target.ts'

test('target: a plain target is its path and its query as sent', () => {
  assert.deepEqual(parseTarget('/v1/messages'), { path: '/v1/messages', query: '' })
  assert.deepEqual(parseTarget('/v1/messages?beta=true'), {
    path: '/v1/messages',
    query: '?beta=true',
  })
  assert.deepEqual(parseTarget('/a?x=1?y=%2F&z'), { path: '/a', query: '?x=1?y=%2F&z' })
  assert.deepEqual(parseTarget('/a?'), { path: '/a', query: '?' })
})

test('target: the path is what a URL parser makes of it', () => {
  for (const [target, path] of [
    ['/x/../healthz', '/healthz'],
    ['/./healthz', '/healthz'],
    ['/x/%2e%2E/healthz', '/healthz'],
    ['/../../healthz', '/healthz'],
    ['/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server'],
    ['/%68ealthz', '/%68ealthz'],
    ['/managed%2fsettings', '/managed%2fsettings'],
    ['/healthz;a', '/healthz;a'],
    ['/healthz/', '/healthz/'],
    ['//healthz', '//healthz'],
    ['//evil.example/healthz', '//evil.example/healthz'],
    ['/HEALTHZ', '/HEALTHZ'],
    ['/a b', '/a%20b'],
    ['/caf\u00e9', '/caf%C3%A9'],
  ] as const) {
    assert.equal(parseTarget(target)?.path, path, target)
  }
})

test('target: plain targets are those that URL parsing leaves alone', () => {
  const letters = 'az AZ09-~!$&\'()*+,;=:@/_.%<>"`{}|^[]\\#\t'
  for (const first of letters) {
    for (const second of letters) {
      const target = `/${first}${second}q`
      const expected = new URL(`http://gateway${target}`).pathname
      assert.equal(parseTarget(target)?.path, expected, JSON.stringify(target))
    }
  }
})

test('target: a fragment is no part of path or query', () => {
  assert.deepEqual(parseTarget('/healthz#x'), { path: '/healthz', query: '' })
  assert.deepEqual(parseTarget('/healthz?a#x?b'), { path: '/healthz', query: '?a' })
  assert.deepEqual(parseTarget('/healthz#x?a'), { path: '/healthz', query: '' })
})

test('target: absolute form is taken for its path, whatever host it names', () => {
  assert.deepEqual(parseTarget('http://other.example/healthz?a=1'), {
    path: '/healthz',
    query: '?a=1',
  })
  assert.deepEqual(parseTarget('https://other.example'), { path: '/', query: '' })
})

test('target: the asterisk of OPTIONS is a path no route has', () => {
  assert.deepEqual(parseTarget('*'), { path: '*', query: '' })
})

test('target: what is no target is null', () => {
  for (const target of [
    '',
    'healthz',
    'ftp://host/healthz',
    'http://',
    'http://[::1/',
    'a:b',
    '?x',
  ]) {
    assert.equal(parseTarget(target), null, target)
  }
})
