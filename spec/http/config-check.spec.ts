/** The rules between keys of the edge, and the files behind `listen.tls`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkEdge } from '../../lib/http/config-check.ts'
import { type LoadOptions, loadWith, pem } from '../config/load.ts'

const tls = { 'listen.tls': { cert: '/tls.crt', key: '/tls.key' } }

function loadTls(cert: string | undefined, key: string | undefined, now?: number) {
  const files = {
    ...(cert === undefined ? {} : { '/tls.crt': cert }),
    ...(key === undefined ? {} : { '/tls.key': key }),
  }
  const options: LoadOptions = now === undefined ? { files } : { files, now }
  return loadWith(tls, options)
}

test('edge check: public_url is needed unless the bind is loopback, with or without tls', () => {
  for (const host of ['127.0.0.1', '::1', 'localhost']) {
    const { problems } = loadWith({ 'listen.public_url': undefined, 'listen.host': host })
    assert.deepEqual(problems, [])
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'gateway', '', undefined]) {
    const { problems } = loadWith({ 'listen.public_url': undefined, 'listen.host': host })
    assert.deepEqual(problems, [
      'listen.public_url: expected a URL, because listen.host is not a loopback address, found nothing',
    ])
  }
})

test('edge check: a bad public_url is not also called missing', () => {
  const { problems } = loadWith({ 'listen.public_url': 'x', 'listen.host': '0.0.0.0' })
  assert.equal(problems.length, 1)
})

test('edge check: a pair of key and certificate passes', () => {
  const { problems, warnings } = loadTls(pem('rsa.crt.pem'), pem('rsa.key.pem'))
  assert.deepEqual([problems, warnings], [[], []])
})

test('edge check: a missing file is named with its reason', () => {
  assert.deepEqual(loadTls(undefined, undefined).problems, [
    'listen.tls.cert: expected a PEM file with a certificate, found /tls.crt: there is no such file',
    'listen.tls.key: expected a PEM file with a private key, found /tls.key: there is no such file',
  ])
})

test('edge check: files that hold something else are named with what they hold', () => {
  const { problems } = loadTls(pem('rsa.key.pem'), pem('rsa.crt.pem'))
  assert.deepEqual(problems, [
    'listen.tls.cert: expected a PEM file with a certificate, found /tls.crt: no PEM certificate, but a PEM block PRIVATE KEY',
    'listen.tls.key: expected a PEM file with a private key, found /tls.key: no PEM private key, but a PEM block CERTIFICATE',
  ])
  assert.match(
    loadTls(pem('rsa.crt.pem'), pem('encrypted.key.pem')).problems.join(),
    /an encrypted private key$/,
  )
})

test('edge check: a key of another certificate is refused', () => {
  const { problems } = loadTls(pem('other.crt.pem'), pem('rsa.key.pem'))
  assert.deepEqual(problems, [
    'listen.tls.key: expected the private key of the first certificate in /tls.crt, found /tls.key: the key of another certificate',
  ])
})

test('edge check: an expired certificate, one about to expire and one of tomorrow only warn', () => {
  const at = (when: string) => loadTls(pem('rsa.crt.pem'), pem('rsa.key.pem'), Date.parse(when))
  const cases: readonly (readonly [string, RegExp])[] = [
    ['2036-12-01', /^listen\.tls\.cert: THE CERTIFICATE EXPIRED on 2036-11-20/],
    ['2036-11-10', /expires on 2036-11-20, in 10 day/],
    ['2026-11-01', /not valid before 2026-11-23/],
  ]
  for (const [when, warning] of cases) {
    assert.deepEqual(at(when).problems, [])
    assert.match(at(when).warnings.join(), warning)
  }
  assert.deepEqual(at('2036-10-01').warnings, [])
})

test('edge check: half a tls block is refused', () => {
  assert.deepEqual(loadWith({ 'listen.tls': {} }).problems, [
    'listen.tls.cert: expected text that is not empty, found nothing',
    'listen.tls.key: expected text that is not empty, found nothing',
  ])
})

test('edge check: plain http to people on other machines is warned about', () => {
  assert.match(
    loadWith({ 'listen.public_url': 'http://gw.example.com' }).warnings.join(),
    /plain http/,
  )
  for (const url of [
    'http://localhost:1',
    'http://127.1.2.3',
    'http://[::1]:1',
    'https://gw.example.com',
  ]) {
    assert.deepEqual(loadWith({ 'listen.public_url': url }).warnings, [], url)
  }
})

test('edge check: an open door is warned about, with what to write instead', () => {
  const open = loadWith({ 'listen.host': '0.0.0.0' })
  assert.match(open.warnings.join(), /^access_control\.allow_cidrs: is empty.*10\.0\.0\.0\/8/)
  const listed = loadWith({
    'listen.host': '0.0.0.0',
    'access_control.allow_cidrs': ['10.0.0.0/8'],
  })
  assert.deepEqual(listed.warnings, [])
})

test('edge check: trusting everybody and a bound without effect are warned about', () => {
  const { warnings } = loadWith({
    'listen.trusted_proxies': ['10.0.0.0/8', '0.0.0.0/0'],
    'limits.max_request_header_bytes': 300_000,
  })
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /^listen\.trusted_proxies\.1: trusts everybody/)
  assert.match(warnings[1] ?? '', /^limits\.max_request_header_bytes: has no effect above/)
})

test('edge check: it is quiet about sections that could not be read', () => {
  const report = { error: () => assert.fail('nothing to judge'), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => false,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  checkEdge({}, facts, report)
})
