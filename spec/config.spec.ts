/** The whole way from a file to a `Config` or to a report, as bin asks for it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { formatProblems, formatWarning, formatWarnings, loadConfig } from '../lib/config.ts'
import { loadText, loadWith } from './config/load.ts'

const smallest = `
listen: { host: 127.0.0.1 }
oidc: { issuer: https://login.example.com, client_id: gateway, client_secret: s3cret }
session: { jwt_secret: mW8qk2vT5xZr9LdP3cYb7NfH1sJg4KaE }
store: { postgres_url: postgres://gateway@db.example.com/gateway }
upstreams: [{ provider: anthropic, auth: { api_key: sk-ant-1 } }]
`

test('config: the smallest file gets every default of the documented gateway', () => {
  assert.deepEqual(loadText(smallest).config(), {
    listen: { host: '127.0.0.1', port: 8080, trusted_proxies: [] },
    access_control: { allow_cidrs: [], deny_cidrs: [] },
    limits: { max_request_bytes: 33_554_432 },
    timeouts: { upstream_ttfb_ms: 120_000 },
    oidc: {
      issuer: 'https://login.example.com',
      client_id: 'gateway',
      client_secret: 's3cret',
      groups_claim: 'groups',
      email_claim: 'email',
      scopes: ['openid', 'profile', 'email', 'offline_access'],
      scope_on_refresh: false,
      extra_auth_params: {},
      userinfo_fallback: false,
      use_pkce: true,
      clock_skew_seconds: 0,
      id_token_signed_response_alg: 'RS256',
      additional_authorized_parties: [],
      form_action_origins: [],
    },
    session: { jwt_secret: ['mW8qk2vT5xZr9LdP3cYb7NfH1sJg4KaE'], ttl_hours: 1 },
    rate_limits: {
      device_authorization: { max: 30, window_seconds: 600 },
      device_verify: { max: 10, window_seconds: 600 },
    },
    store: {
      postgres_url: 'postgres://gateway@db.example.com/gateway',
      max_connections: 5,
      connect_timeout_seconds: 5,
      readiness_grace_seconds: 0,
    },
    upstreams: [
      {
        provider: 'anthropic',
        name: 'anthropic',
        headers: {},
        timeouts: {},
        auth: { api_key: 'sk-ant-1' },
        forward_user_identity: false,
      },
    ],
    models: [],
    auto_include_builtin_models: true,
    enforcement: { fail_closed_on_error: false },
    extensions: {
      upstreams: {},
      models: [],
      prices: [],
      spend: { reserve: false },
      settings: { allow: [] },
    },
  })
})

test('config: it is frozen to its leaves', () => {
  const config = loadText(smallest).config()
  assert.ok(Object.isFrozen(config))
  assert.ok(Object.isFrozen(config.oidc.scopes))
  assert.ok(Object.isFrozen(config.rate_limits.device_verify))
})

test('config: the sum is over the bytes of the file', () => {
  const { loaded } = loadText(smallest)
  assert.ok(loaded.kind === 'ok')
  assert.equal(loaded.sha256, createHash('sha256').update(smallest).digest('hex'))
})

const sixMistakes = `listen:
  host: 127.0.0.1
  prot: 8080
oidc:
  issuer: https://login.example.com
  client_id: \${OIDC_CLIENT_IDD}
  client_secret: s3cret
  use_pkce: "no"
session:
  jwt_secret: too short to sign with
store:
  postgres_url: postgres://gateway@db.example.com/gateway?sslmode=verify-fulll
upstreams:
  - provider: antropic
    auth: { api_key: sk-ant-1 }
models:
  - id: m
    upstream_model: {}
`

test('config: mistakes of every kind stand in one report, each with place and suggestion', () => {
  const { loaded } = loadText(sixMistakes, { environment: { OIDC_CLIENT_ID: 'gateway' } })
  assert.ok(loaded.kind === 'invalid')
  const lines = formatProblems(loaded.problems).split('\n')
  assert.deepEqual(lines, [
    'gateway.yaml:3:3: listen.prot: expected a key of listen, found unknown key "prot"; did you mean port?',
    'gateway.yaml:6:14: oidc.client_id: expected the environment variable OIDC_CLIENT_IDD to be set, found no such variable; did you mean OIDC_CLIENT_ID?',
    'gateway.yaml:8:13: oidc.use_pkce: expected true or false, found the text "no"; did you mean false?',
    'gateway.yaml:10:15: session.jwt_secret: expected a secret of at least 32 characters, or a list of such secrets, found text of 22 characters (hidden)',
    lines[4],
    'gateway.yaml:14:15: upstreams.0.provider: expected one of anthropic, bedrock, mantle, anthropicAws, anthropicGoogleCloud, vertex, foundry, found the text "antropic"; did you mean anthropic?',
    'gateway.yaml:18:5: models.0.upstream_model: expected a block with at least one name and value, found an empty block',
  ])
  assert.match(
    lines[4] ?? '',
    /^gateway\.yaml:12:17: store\.postgres_url: expected sslmode .*; did you mean verify-full\?$/,
  )
  assert.doesNotMatch(lines[4] ?? '', /db\.example\.com/)
})

test('config: a required section that is missing is named', () => {
  for (const section of ['listen', 'oidc', 'session', 'store', 'upstreams']) {
    const { problems } = loadWith({ [section]: undefined })
    assert.equal(problems.length, 1, section)
    assert.match(problems[0] ?? '', new RegExp(`^${section}: expected a .*, found nothing$`))
  }
})

test('config: an unknown key is named at the root and at any depth', () => {
  const { problems } = loadWith({
    listn: {},
    'oidc.google_groups': { service_account_json: 'x' },
    'upstreams.0.timeouts': { upstream_ttfb: 5 },
    extensions: { matrics: { port: 1 } },
  })
  const paths = problems.map((line) => line.split(':')[0])
  assert.deepEqual(
    paths.toSorted((a = '', b = '') => a.localeCompare(b)),
    [
      'extensions.matrics',
      'listn',
      'oidc.google_groups.admin_email',
      'oidc.google_groups.service_account_json',
      'oidc.google_groups.service_account_json_path',
      'upstreams.0.timeouts.upstream_ttfb',
    ],
  )
  assert.ok(problems.some((line) => line.endsWith('did you mean listen?')))
  assert.ok(problems.some((line) => line.endsWith('did you mean metrics?')))
})

test('config: numbers may be text, also out of a variable; booleans may not', () => {
  const config = loadWith(
    { 'listen.port': '${PORT}', 'session.ttl_hours': ' 0.5 ', 'store.max_connections': '1e1' },
    { environment: { PORT: '9391' } },
  ).config()
  assert.equal(config.listen.port, 9391)
  assert.equal(config.session.ttl_hours, 0.5)
  assert.equal(config.store.max_connections, 10)
  const { problems } = loadWith(
    { 'oidc.use_pkce': '${X}', 'listen.port': true, 'limits.max_url_length': '' },
    { environment: { X: 'true' } },
  )
  assert.deepEqual(problems, [
    'listen.port: expected a whole number from 0 to 65535, found true',
    'oidc.use_pkce: expected true or false, found the value of ${X} (hidden)',
    'limits.max_url_length: expected a whole number of at least 1, found empty text',
  ])
})

test('config: prototype keys are unknown keys at every level, and never settings', () => {
  const text = `${smallest}
__proto__: { admin: { write_keys: [{ id: a, key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }] } }
managed:
  policies:
    - cli: { env: { constructor: x } }
telemetry:
  resource_attributes: { prototype: x }
`
  const { problems } = loadText(text)
  assert.deepEqual(
    problems.map((line) => line.split(':')[0]),
    [
      '__proto__',
      'managed.policies.0.cli.env.constructor',
      'telemetry.resource_attributes.prototype',
    ],
  )
  for (const line of problems)
    assert.match(line, /found unknown key "(__proto__|constructor|prototype)"/)
  assert.equal(Object.hasOwn(Object.prototype, 'admin'), false)
})

test('config: names that objects inherit are unknown keys like any other', () => {
  const { problems } = loadWith({ toString: 1, 'listen.hasOwnProperty': 1 })
  assert.deepEqual(
    problems.map((line) => line.split(':')[0]),
    ['listen.hasOwnProperty', 'toString'],
  )
})

test('config: a file that is missing, a folder or no text is a problem like any other', () => {
  const load = (readFile: (path: string) => Uint8Array): string => {
    const loaded = loadConfig({ path: '/etc/gateway.yaml', environment: {}, now: 0, readFile })
    assert.ok(loaded.kind === 'invalid')
    return formatProblems(loaded.problems)
  }
  const failing = (code: string) => (): never => {
    throw Object.assign(new Error(code), { code })
  }
  assert.equal(
    load(failing('ENOENT')),
    '/etc/gateway.yaml:1:1: expected a readable configuration file, found there is no such file',
  )
  assert.match(load(failing('EISDIR')), /it is a directory$/)
  assert.match(load(failing('EIO')), /it cannot be read \(EIO\)$/)
  assert.match(
    load(() => Buffer.from([0xff, 0xfe, 0x00])),
    /expected UTF-8 text/,
  )
  assert.match(
    load(() => Buffer.from('')),
    /expected a block with listen, .*found nothing/,
  )
  assert.match(
    load(() => Buffer.from('hello')),
    /found the text "hello"/,
  )
  assert.match(
    load(() => Buffer.from('- a')),
    /found a list/,
  )
})

test('config: a byte order mark before the file does not matter', () => {
  assert.equal(loadText(`\uFEFF${smallest.trim()}`).loaded.kind, 'ok')
})

test('config: checking reads the files that are named, and nothing else', () => {
  const read: string[] = []
  const loaded = loadConfig({
    path: 'gateway.yaml',
    environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1' },
    now: 0,
    readFile(path) {
      read.push(path)
      if (path === 'gateway.yaml') {
        return Buffer.from(smallest.replace('s3cret', '"${file:/run/secrets/oidc}"'))
      }
      return Buffer.from('from a file\n')
    },
  })
  assert.deepEqual(read, ['gateway.yaml', '/run/secrets/oidc'])
  assert.ok(loaded.kind === 'ok')
  assert.equal(loaded.config.oidc.client_secret, 'from a file')
})

test('config: no secret is in any problem or warning, wherever it stands', () => {
  const secret = 'Tr0ub4dor&3-correct-horse'
  const environment = { SECRET: secret }
  const places = [
    'oidc.client_id',
    'oidc.issuer',
    'oidc.use_pkce',
    'session.jwt_secret',
    'store.postgres_url',
    'store.max_connections',
    'upstreams.0.provider',
    'upstreams.0.auth',
    'upstreams.0.auth.api_key',
    'upstreams.0.headers',
    'listen.trusted_proxies',
    'listen.public_url',
    'managed.policies',
    'models',
    'admin.write_keys',
  ]
  for (const path of places) {
    for (const value of ['${SECRET}', ['${SECRET}'], { a: '${SECRET}' }]) {
      const { loaded } = loadWith({ [path]: value }, { environment })
      const said = [
        ...loaded.warnings.map(formatWarning),
        loaded.kind === 'invalid' ? formatProblems(loaded.problems) : '',
      ].join('\n')
      assert.ok(!said.includes(secret), `${path}: ${said}`)
    }
  }
})

test('config: secrets written in clear are not shown either', () => {
  const secret = 'correct horse'
  const broken: Readonly<Record<string, unknown>> = {
    'session.jwt_secret': secret,
    'store.postgres_url': `mysql://u:${secret}@h/d`,
    'upstreams.0.auth.api_key': [secret],
    'upstreams.0.headers': { 'X-A': ` ${secret}` },
    'admin.write_keys': [{ id: 'a', key: secret }],
    'telemetry.forward_to': [{ url: 'https://o.example.com', headers: { 'a b': secret } }],
    'oidc.issuer': `ftp://user:${secret.replace(' ', '')}@h`,
  }
  for (const [path, value] of Object.entries(broken)) {
    const { problems } = loadWith({ [path]: value })
    assert.equal(problems.length, 1, path)
    assert.doesNotMatch(problems.join(), /correct ?horse/, path)
  }
})

test('config: warnings come one a line for a terminal, with their place', () => {
  const { loaded } = loadText(smallest.replace('client_id', 'use_proxy: true, client_id'))
  assert.equal(
    formatWarnings(loaded.warnings),
    'warning: gateway.yaml:3:55: oidc.use_proxy: is on, but HTTPS_PROXY and HTTP_PROXY are not set: the provider is reached directly\n',
  )
  assert.equal(formatWarnings([]), '')
})

test('config: a file with a mistake still gives the warnings that stand beside it', () => {
  const { loaded, problems } = loadText(`${smallest}\nzzz: 1\nlisten: { host: 127.0.0.1 }\n`)
  assert.equal(problems.length, 1)
  assert.match(formatWarnings(loaded.warnings), /listen: stands on line 2 and again on line 9/)
})
