/** The variables that steer the gateway: values, defaults, and warnings that name both. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOn, readEnvironment } from '../../lib/config/environment.ts'

test('environment: without any variable everything has its default', () => {
  assert.deepEqual(readEnvironment({}), {
    settings: {
      logLevel: 'info',
      drainTimeoutMs: 25_000,
      allowLoopback: false,
      proxies: null,
      proxyIsEgressBoundary: false,
      openRequestsMax: undefined,
      hasExtraCa: false,
      stsUrl: undefined,
    },
    warnings: [],
  })
})

test('environment: every variable is read', () => {
  const { settings, warnings } = readEnvironment({
    CLAUDE_GATEWAY_LOG_LEVEL: 'debug',
    CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: '1000',
    CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1',
    BUN_CONFIG_MAX_HTTP_REQUESTS: '65535',
    NODE_EXTRA_CA_CERTS: '/etc/ssl/ours.pem',
    AWS_ENDPOINT_URL_STS: 'https://sts.vpce.example.com',
  })
  assert.deepEqual(settings, {
    logLevel: 'debug',
    drainTimeoutMs: 1000,
    allowLoopback: true,
    proxies: null,
    proxyIsEgressBoundary: false,
    openRequestsMax: 65_535,
    hasExtraCa: true,
    stsUrl: 'https://sts.vpce.example.com',
  })
  assert.deepEqual(warnings, [])
})

const boundary = { CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY: '1', HTTPS_PROXY: 'http://p:3128' }

test('environment: a proxy that is the boundary is said to be one', () => {
  const { settings, warnings } = readEnvironment({ ...boundary, NO_PROXY: '', no_proxy: ' ' })
  assert.equal(settings.proxyIsEgressBoundary, true)
  assert.equal(settings.proxies?.https?.label, 'http://p:3128')
  assert.deepEqual(warnings, [])
})

test('environment: what keeps a proxy from being the boundary is named', () => {
  for (const [changes, blocker] of [
    [{ HTTPS_PROXY: '' }, /because neither HTTPS_PROXY nor HTTP_PROXY names a proxy: names are/],
    [{ NO_PROXY: 'h.example.com' }, /because NO_PROXY is not empty: /],
    [{ no_proxy: '*' }, /because no_proxy is not empty: /],
    [{ CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' }, /because CLAUDE_GATEWAY_ALLOW_LOOPBACK is on: /],
    [
      { NO_PROXY: '*', CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' },
      /NO_PROXY is not empty and CLAUDE_GATEWAY_ALLOW_LOOPBACK is on: /,
    ],
  ] as const) {
    const { settings, warnings } = readEnvironment({ ...boundary, ...changes })
    assert.equal(settings.proxyIsEgressBoundary, false)
    assert.match(warnings.join(), /^CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY has no effect, /)
    assert.match(warnings.join(), blocker)
  }
  const off = readEnvironment({ ...boundary, CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY: '0' })
  assert.deepEqual([off.settings.proxyIsEgressBoundary, off.warnings], [false, []])
})

test('environment: a proxy that cannot be used is warned about without its password', () => {
  const { settings, warnings } = readEnvironment({ HTTPS_PROXY: 'socks5://user:hunter2@p' })
  assert.equal(settings.proxies, null)
  assert.match(warnings.join(), /^HTTPS_PROXY is not the URL of an http or https proxy/)
  assert.doesNotMatch(warnings.join(), /hunter2/)
})

test('environment: an unknown log level is warned about with the nearest', () => {
  const { settings, warnings } = readEnvironment({ CLAUDE_GATEWAY_LOG_LEVEL: 'warm' })
  assert.equal(settings.logLevel, 'info')
  assert.deepEqual(warnings, [
    'CLAUDE_GATEWAY_LOG_LEVEL is "warm" (did you mean warn?); it takes debug, info, warn, error, so info is used',
  ])
})

test('environment: a drain window that is no positive whole number is warned about', () => {
  for (const text of ['x', '0', '-1', '1.5', '1e3', ' 5', '99999999999', '2147483648']) {
    const { settings, warnings } = readEnvironment({ CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: text })
    assert.equal(settings.drainTimeoutMs, 25_000, text)
    assert.match(warnings.join(), /DRAIN_TIMEOUT_MS is ".*so 25000 is used$/, text)
  }
})

test('environment: a bound out of range is warned about', () => {
  for (const text of ['0', '65536', 'many']) {
    const { settings, warnings } = readEnvironment({ BUN_CONFIG_MAX_HTTP_REQUESTS: text })
    assert.equal(settings.openRequestsMax, undefined)
    assert.match(warnings.join(), /from 1 to 65535, so the built-in bound is used$/)
  }
})

test('environment: only 1 and true turn a switch on, and what else was meant is asked', () => {
  const name = 'CLAUDE_GATEWAY_ALLOW_LOOPBACK'
  for (const on of ['1', 'true']) assert.ok(isOn({ [name]: on }, name))
  for (const off of ['', '0', 'false']) {
    assert.ok(!isOn({ [name]: off }, name))
    assert.deepEqual(readEnvironment({ [name]: off }).warnings, [])
  }
  for (const odd of ['yes', 'TRUE', ' 1']) {
    const { settings, warnings } = readEnvironment({ [name]: odd })
    assert.equal(settings.allowLoopback, false)
    assert.match(warnings.join(), /only 1 and true turn it on/)
  }
})

test('environment: empty variables are as if they were not set', () => {
  const { warnings } = readEnvironment({
    CLAUDE_GATEWAY_LOG_LEVEL: '',
    CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: '',
    BUN_CONFIG_MAX_HTTP_REQUESTS: '',
  })
  assert.deepEqual(warnings, [])
})

test('environment: a warning repeats only the start of a long value', () => {
  const { warnings } = readEnvironment({ CLAUDE_GATEWAY_LOG_LEVEL: 'x'.repeat(1000) })
  assert.ok((warnings[0]?.length ?? 0) < 200)
})

test('environment: an address of STS that is none is not used, and not shown', () => {
  for (const text of ['sts.example.com', 'ftp://user:secret@x', 'no address']) {
    const { settings, warnings } = readEnvironment({ AWS_ENDPOINT_URL_STS: text })
    assert.equal(settings.stsUrl, undefined)
    assert.deepEqual(warnings, [
      'AWS_ENDPOINT_URL_STS is no http:// or https:// address, so it is not used',
    ])
  }
  assert.deepEqual(readEnvironment({ AWS_ENDPOINT_URL_STS: '' }).warnings, [])
})
