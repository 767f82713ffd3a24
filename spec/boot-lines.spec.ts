import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeBoot } from '../lib/boot-lines.ts'
import { loadConfig } from '../lib/config.ts'
import { readEnvironment } from '../lib/config/environment.ts'

function linesOf(changes: object = {}, environment: Record<string, string> = {}): string {
  const file = {
    listen: { host: '127.0.0.1', port: 0, public_url: 'https://gw.example.com' },
    oidc: { issuer: 'https://idp.example.com', client_id: 'gw', client_secret: 'hunter2' },
    session: { jwt_secret: '0123456789abcdef0123456789abcdef0123456789abcdef' },
    store: { postgres_url: 'postgres://u:hunter3@db/gw' },
    upstreams: [{ provider: 'anthropic', name: 'first', auth: { api_key: 'hunter4' } }],
    ...changes,
  }
  const loaded = loadConfig({
    path: 'gateway.yaml',
    environment,
    now: Date.now(),
    readFile: () => Buffer.from(JSON.stringify(file)),
  })
  assert.equal(loaded.kind, 'ok')
  if (loaded.kind !== 'ok') return ''
  return describeBoot(loaded.config, readEnvironment(environment).settings, 4321).join('\n')
}

test('boot lines: they say where the gateway listens, for whom, and with which upstreams', () => {
  const lines = linesOf()
  assert.match(
    lines,
    /listening on http:\/\/127\.0\.0\.1:4321\npublic_url https:\/\/gw\.example\.com\n/,
  )
  assert.match(lines, /client IPs: TCP peer address \(listen\.trusted_proxies empty\)/)
  assert.match(lines, /oidc issuer https:\/\/idp\.example\.com/)
  assert.match(lines, /email domains \(unrestricted\)\nallowed groups \(unrestricted\)/)
  assert.match(lines, /upstreams 1: first\(anthropic\)/)
  assert.match(lines, /telemetry relay: not configured\nmanaged settings: not configured/)
})

test('boot lines: restrictions and bounds that are set are shown', () => {
  const lines = linesOf(
    {
      listen: { host: '::1', public_url: 'https://gw', trusted_proxies: ['10.0.0.0/8', '::1'] },
      oidc: {
        issuer: 'https://idp.example.com',
        client_id: 'gw',
        client_secret: 's',
        allowed_email_domains: ['@Example.com'],
        allowed_groups: ['a', 'b'],
      },
    },
    { BUN_CONFIG_MAX_HTTP_REQUESTS: '50' },
  )
  assert.match(lines, /http:\/\/\[::1\]:4321/)
  assert.match(lines, /X-Forwarded-For via listen\.trusted_proxies \(2 entries\)/)
  assert.match(lines, /email domains example\.com\nallowed groups a,b/)
  assert.match(lines, /at most 50 at once per process/)
})

test('boot lines: the telemetry relay is named with the signals that go anywhere', () => {
  const destination = (more: object = {}) => ({ url: 'https://o.example.com', ...more })
  const lineOf = (...forward_to: object[]): string =>
    linesOf({ telemetry: { forward_to } })
      .split('\n')
      .find((line) => line.startsWith('telemetry')) ?? ''
  assert.equal(lineOf(destination()), 'telemetry relay: 1 destination(s), signals enabled: metrics')
  assert.equal(
    lineOf(destination({ traces: true, metrics: false }), destination({ logs: true })),
    'telemetry relay: 2 destination(s), signals enabled: metrics,logs,traces',
  )
  assert.equal(lineOf(), 'telemetry relay: not configured')
})

test('boot lines: no secret is in them', () => {
  assert.doesNotMatch(linesOf(), /hunter|0123456789abcdef/)
})

test('boot lines: a forward proxy is shown without its password, a boundary as such', () => {
  const proxy = { HTTPS_PROXY: 'http://user:hunter5@proxy.example.com:3128' }
  assert.doesNotMatch(linesOf(), /proxy|network:/)
  const usual = linesOf({}, { ...proxy, NO_PROXY: 'a,b' })
  assert.match(usual, /\nforward proxy http:\/\/proxy\.example\.com:3128, NO_PROXY has 2 entries\n/)
  const only = linesOf({}, { ...proxy, CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY: '1' })
  assert.match(
    only,
    /\nnetwork: proxy-only egress, host names go unresolved to http:\/\/proxy\.example\.com:3128 /,
  )
  const oidc = { issuer: 'https://idp.example.com', client_id: 'gw', client_secret: 'hunter2' }
  const asked = linesOf({ oidc: { ...oidc, use_proxy: true } }, proxy)
  assert.match(
    asked,
    /\noidc: IdP requests use proxy proxy\.example\.com:3128; hosts in NO_PROXY go/,
  )
  const exempt = linesOf({ oidc: { ...oidc, use_proxy: true } }, { ...proxy, NO_PROXY: '.com' })
  assert.doesNotMatch(usual + exempt, /IdP requests/)
  assert.doesNotMatch(usual + only + asked, /hunter/)
})
