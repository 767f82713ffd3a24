/** `listen`, `access_control`, `limits`, `timeouts`: values and their forms. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EdgeConfig, edgeKeys } from '../../lib/http/config.ts'
import { loadWith } from '../config/load.ts'

test('edge config: its sections are those of the file', () => {
  const names: readonly (keyof EdgeConfig)[] = ['listen', 'access_control', 'limits', 'timeouts']
  assert.deepEqual(Object.keys(edgeKeys), names)
})

test('edge config: public_url loses its slash and keeps its case', () => {
  const config = loadWith({ 'listen.public_url': 'https://GW.Example.com/' }).config()
  assert.equal(config.listen.public_url, 'https://GW.Example.com')
})

test('edge config: public_url is an origin and nothing else', () => {
  const refused = [
    'https://gw.example.com/base',
    'https://gw.example.com?x=1',
    'https://gw.example.com/?',
    'https://gw.example.com#',
    'https://user@gw.example.com',
    'ftp://gw.example.com',
    'gw.example.com',
    'https://gw.example.com ',
    'https://',
  ]
  for (const url of refused) {
    const { problems } = loadWith({ 'listen.public_url': url })
    assert.match(
      problems.join(),
      /^listen\.public_url: expected an http:\/\/ or https:\/\/ URL of a host alone/,
      url,
    )
  }
  for (const url of ['http://localhost:9390', 'https://[2001:db8::1]:8443', 'https://gw']) {
    assert.deepEqual(loadWith({ 'listen.public_url': url }).problems, [], url)
  }
})

test('edge config: the port is one a socket can have', () => {
  for (const port of [-1, 65_536, 80.5, 'x']) {
    const { problems } = loadWith({ 'listen.port': port })
    assert.match(problems.join(), /^listen\.port: expected a whole number from 0 to 65535/)
  }
  assert.equal(loadWith({ 'listen.port': 0 }).config().listen.port, 0)
})

test('edge config: networks may have host bits and any family', () => {
  const fine = ['10.1.2.3', '10.1.2.3/8', '::1', 'fd00::/8', '0.0.0.0/0', '::ffff:10.0.0.0/104']
  assert.deepEqual(loadWith({ 'access_control.allow_cidrs': fine }).problems, [])
  const bad = [
    'x',
    '10.0.0.0/33',
    '::/129',
    '10.0.0',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '',
  ]
  const { problems } = loadWith({ 'access_control.deny_cidrs': bad })
  assert.equal(problems.length, bad.length, problems.join('\n'))
  assert.match(
    problems[0] ?? '',
    /^access_control\.deny_cidrs\.0: expected an IP address or a CIDR range/,
  )
})

test('edge config: limits and timeouts are whole and positive', () => {
  for (const path of [
    'limits.max_request_bytes',
    'limits.max_request_header_bytes',
    'limits.max_url_length',
    'timeouts.upstream_ttfb_ms',
  ]) {
    for (const value of [0, -1, 1.5, '32MiB', null]) {
      assert.match(
        loadWith({ [path]: value }).problems.join(),
        new RegExp(`^${path}: expected a whole number`),
      )
    }
    assert.deepEqual(loadWith({ [path]: '1000' }).problems, [])
  }
})
