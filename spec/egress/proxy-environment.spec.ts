import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ProxyChoice,
  proxyFor,
  proxyVariable,
  readProxies,
} from '../../lib/egress/proxy-environment.ts'

/** The proxy that `url` goes through, as people read it; `direct` without one. */
function way(url: string, environment: Record<string, string>, choice?: ProxyChoice): string {
  const { proxies, warnings } = readProxies(environment)
  assert.deepEqual(warnings, [])
  return (proxies === null ? null : proxyFor(new URL(url), proxies, choice))?.label ?? 'direct'
}

/** The same where only the variable of the scheme itself counts. */
const own = (url: string, environment: Record<string, string>): string =>
  way(url, environment, 'own')

const secure = { HTTPS_PROXY: 'http://one.example.com:3128' }

test('proxy environment: without variables everything is direct', () => {
  assert.deepEqual(readProxies({}), { proxies: null, warnings: [] })
  assert.deepEqual(readProxies({ NO_PROXY: '*', HTTPS_PROXY: '', https_proxy: ' ' }).proxies, null)
  assert.equal(proxyVariable({ HTTPS_PROXY: '' }), undefined)
})

test('proxy environment: one variable serves both schemes, unless only the own one may; two serve one each', () => {
  assert.equal(way('https://api.example.com/', secure), 'http://one.example.com:3128')
  assert.equal(way('http://api.example.com/', secure), 'http://one.example.com:3128')
  assert.equal(way('https://a.example.com/', { http_proxy: 'http://two:1' }), 'http://two:1')
  assert.equal(own('https://api.example.com/', secure), 'http://one.example.com:3128')
  assert.equal(own('http://api.example.com/', secure), 'direct')
  assert.equal(own('https://a.example.com/', { http_proxy: 'http://two:1' }), 'direct')
  const both = { ...secure, HTTP_PROXY: 'http://two:1' }
  assert.equal(way('https://api.example.com/', both), 'http://one.example.com:3128')
  assert.equal(way('http://api.example.com/', both), 'http://two:1')
})

test('proxy environment: lower-case names count where the upper-case one is not set', () => {
  assert.equal(way('https://h/', { https_proxy: 'http://low:1' }), 'http://low:1')
  assert.equal(way('https://h/', { ...secure, https_proxy: 'x' }), 'http://one.example.com:3128')
  assert.equal(way('https://h/', { HTTPS_PROXY: '', https_proxy: 'http://low:1' }), 'http://low:1')
  assert.equal(way('https://h/', { ...secure, no_proxy: 'h' }), 'direct')
  assert.equal(proxyVariable({ http_proxy: 'http://low:1' }), 'http_proxy')
})

test('proxy environment: the scheme may be missing, ports have the defaults of URLs', () => {
  const read = (text: string) => readProxies({ HTTPS_PROXY: text }).proxies?.https
  for (const [text, secured, host, port] of [
    ['http://p.example.com', false, 'p.example.com', 80],
    ['https://p.example.com', true, 'p.example.com', 443],
    ['p.example.com:3128', false, 'p.example.com', 3128],
    ['user:word@p.example.com:3128', false, 'p.example.com', 3128],
    ['http://[fd00::1]:8080/', false, 'fd00::1', 8080],
    [' HTTP://P.example.com:80/ ', false, 'p.example.com', 80],
  ] as const) {
    const proxy = read(text)
    assert.deepEqual([proxy?.secure, proxy?.host, proxy?.port], [secured, host, port], text)
  }
})

test('proxy environment: credentials are decoded and appear nowhere but in the header', () => {
  const of = (text: string) => readProxies({ HTTPS_PROXY: text }).proxies?.https
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  assert.equal(of('http://u:p%40ss@p:1')?.authorization, basic('u:p@ss'))
  assert.equal(of('http://u:50%@p:1')?.authorization, basic('u:50%'))
  assert.equal(of('http://only@p:1')?.authorization, basic('only:'))
  assert.equal(of('http://p:1')?.authorization, null)
  assert.equal(of('http://u:hunter2@p:1')?.label, 'http://p:1')
})

test('proxy environment: what is no http proxy is ignored with a warning that keeps its secret', () => {
  for (const text of ['socks5://u:hunter2@p:1080', 'http://', 'http://u:hunter2@:bad', 'a b']) {
    const { proxies, warnings } = readProxies({ HTTPS_PROXY: text })
    assert.equal(proxies, null, text)
    assert.match(warnings.join(), /^HTTPS_PROXY is not the URL of an http or https proxy/)
    assert.doesNotMatch(warnings.join(), /hunter2/)
  }
  const { proxies } = readProxies({ https_proxy: 'ftp://p', HTTP_PROXY: 'http://two:1' })
  assert.deepEqual([proxies?.https, proxies?.http?.label], [null, 'http://two:1'])
})

test('proxy environment: NO_PROXY takes hosts, domains and everything', () => {
  const direct = (url: string, list: string): boolean =>
    way(url, { ...secure, NO_PROXY: list }) === 'direct'
  for (const list of [
    'idp.example.com',
    'IDP.Example.com.',
    '.example.com',
    '*.example.com',
    'example.com',
    'other, example.com ,',
    'other example.com',
    '*',
    'idp.example.com:443',
    '.com:443',
  ]) {
    assert.ok(direct('https://idp.example.com/x', list), list)
  }
  for (const list of [
    'example.org',
    'p.example.com',
    'idp.example',
    'xidp.example.com',
    'idp.example.com:8443',
    'a.idp.example.com',
    ',',
  ]) {
    assert.ok(!direct('https://idp.example.com/x', list), list)
  }
  assert.ok(direct('https://idp.example.com:8443/', 'idp.example.com:8443'))
  assert.ok(direct('http://idp.example.com/', 'idp.example.com:80'))
  assert.ok(!direct('https://notexample.com/', '.example.com'))
  assert.ok(direct('https://bücher.example/', 'BÜCHER.example'))
})

test('proxy environment: addresses in NO_PROXY are compared as URLs write them', () => {
  const direct = (url: string, list: string): boolean =>
    way(url, { ...secure, NO_PROXY: list }) === 'direct'
  assert.ok(direct('https://10.1.2.3/', '10.1.2.3'))
  assert.ok(direct('https://[fd00::1]/', 'fd00:0::1'))
  assert.ok(direct('https://[fd00::1]:8443/', '[fd00::1]:8443'))
  assert.ok(!direct('https://[fd00::1]/', '[fd00::1]:8443'))
  assert.ok(!direct('https://10.1.2.3/', '10.1.2.4'))
})

test('proxy environment: networks in NO_PROXY have no effect, and that is said', () => {
  for (const entry of ['10.0.0.0/8', 'fd00::/8', 'a*.example.com', 'http://h']) {
    const { proxies, warnings } = readProxies({ ...secure, NO_PROXY: `h.example.com,${entry}` })
    assert.equal(proxies?.exemptions.length, 1, entry)
    assert.match(warnings.join(), /^NO_PROXY has ".*no networks$/)
  }
  const { warnings } = readProxies({ ...secure, no_proxy: `${'1'.repeat(500)}/8` })
  assert.ok((warnings[0]?.length ?? 0) < 200)
})
