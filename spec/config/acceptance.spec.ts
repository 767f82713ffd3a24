/**
 * The configuration rows of the acceptance table, one by one: a change to a minimal file, and
 * what an operator reads. Recorded boots are replayed beside this; here the words are checked.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Loaded, type LoadOptions, loadText, loadWith, pem } from './load.ts'

type Change = Readonly<Record<string, unknown>>

interface Row {
  readonly id: string
  readonly change: Change
  readonly options?: LoadOptions
  /** Every one stands in a problem; empty: the file is accepted. */
  readonly refused?: readonly RegExp[]
  /** Every one stands in a warning. */
  readonly warned?: readonly RegExp[]
}

const noLoopback: LoadOptions = { environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: undefined } }
const away = {
  'oidc.issuer': 'https://idp.example.com',
  upstreams: [{ provider: 'anthropic', auth: { api_key: 'k' } }],
}
const upstream = (more: object): Change => ({
  upstreams: [
    {
      provider: 'anthropic',
      base_url: 'http://127.0.0.1:9511',
      auth: { api_key: 'k' },
      ...more,
    },
  ],
})
const bedrock = (more: object, auth: object = { aws_bearer_token: 'x' }): object => ({
  provider: 'bedrock',
  region: 'us-east-1',
  auth,
  ...more,
})
const guardrail = { id: 'g', version: '1' }
const role = 'arn:aws:iam::123456789012:role/r'
const admin = { write_keys: [{ id: 'w', key: 'w1w2w3w4w5w6w7w8w9w0wawbwcwdwewf' }] }
const rates = { input: 1, output: 2, cache_read: 1, cache_write: 1 }
const priced = (...overrides: object[]): Change => ({ admin, pricing: { overrides } })
const policies = (...list: object[]): Change => ({ 'managed.policies': list })
const cli = (settings: object): Change => policies({ match: {}, cli: settings })
const desktop = (settings: object): Change => policies({ match: {}, cli: {}, desktop: settings })
const assertion = (private_key_pem: string, certificate_pem: string): Change => ({
  'oidc.client_secret': undefined,
  'oidc.token_endpoint_auth_method': 'private_key_jwt',
  'oidc.client_assertion': { private_key_pem, certificate_pem },
})
const key = pem('rsa.key.pem')
const certificate = pem('rsa.crt.pem')
const collectors = (...urls: string[]): Change => ({
  'telemetry.forward_to': urls.map((url) => ({ url })),
})

const rows: readonly Row[] = [
  ...['listen', 'oidc', 'session', 'store', 'upstreams'].map((section) => ({
    id: 'F002',
    change: { [section]: undefined },
    refused: [new RegExp(`^${section}: `)],
  })),
  { id: 'F003', change: { listn: {} }, refused: [/^listn: .*listen/] },
  { id: 'F004', change: { 'listen.prot': 1 }, refused: [/^listen\.prot: .*port/] },
  {
    id: 'F006',
    change: { 'oidc.client_secret': '${NOT_SET_ANYWHERE}' },
    refused: [/NOT_SET_ANYWHERE/],
  },
  {
    id: 'F006',
    change: { 'oidc.client_secret': '${EMPTY}' },
    options: { environment: { EMPTY: '' } },
    refused: [/^oidc\.client_secret: /],
  },
  {
    id: 'F007',
    change: { 'oidc.client_secret': '${file:/run/secret}' },
    options: { files: { '/run/secret': 's3cret\n' } },
  },
  { id: 'F007', change: { 'oidc.client_secret': '${file:x}' }, refused: [/client_secret/] },
  { id: 'F007', change: { 'oidc.client_secret': '${file:/none}' }, refused: [/\/none/] },
  { id: 'F009', change: { 'listen.port': '9390' } },
  { id: 'F009', change: { 'oidc.use_pkce': 'no' }, refused: [/^oidc\.use_pkce: /] },
  {
    id: 'F011',
    change: { 'listen.host': '0.0.0.0', 'listen.public_url': undefined },
    refused: [/^listen\.public_url: /],
  },
  { id: 'F012', change: { 'listen.public_url': undefined } },
  { id: 'F014', change: { 'oidc.issuer': 'http://10.0.0.5:8080' } },
  {
    id: 'F015',
    change: { ...away, 'oidc.issuer': 'http://localhost:9410' },
    options: noLoopback,
    refused: [/^oidc\.issuer: .*CLAUDE_GATEWAY_ALLOW_LOOPBACK/],
  },
  {
    id: 'F015',
    change: { ...upstream({}), 'oidc.issuer': 'https://idp.example.com' },
    options: noLoopback,
    refused: [/^upstreams\.0\.base_url: .*CLAUDE_GATEWAY_ALLOW_LOOPBACK/],
  },
  { id: 'F015', change: { 'oidc.issuer': 'http://localhost:9410' } },
  { id: 'F016', change: { 'oidc.scopes': ['email'] }, refused: [/^oidc\.scopes: .*openid/] },
  {
    id: 'F017',
    change: { 'oidc.discovery_url': 'https://idp.example.com/x' },
    refused: [/^oidc\.discovery_url: .*\/\.well-known\//],
  },
  { id: 'F018', change: { 'oidc.client_secret': undefined }, refused: [/^oidc\.client_secret: /] },
  {
    id: 'F019',
    change: { ...assertion(key, certificate), 'oidc.client_secret': 's' },
    refused: [/^oidc\.client_secret: /],
  },
  ...['short.key.pem', 'ec.key.pem', 'encrypted.key.pem'].map((name) => ({
    id: 'F020',
    change: assertion(pem(name), certificate),
    refused: [/private_key_pem: expected an unencrypted RSA/],
  })),
  {
    id: 'F021',
    change: assertion(key, certificate + pem('other.crt.pem')),
    refused: [/certificate_pem: .*found 2 of them/],
  },
  {
    id: 'F021',
    change: assertion(key, pem('other.crt.pem')),
    refused: [/certificate_pem: /],
  },
  {
    id: 'F022',
    change: assertion(key, certificate),
    options: { now: Date.parse('2040-01-01') },
    warned: [/certificate_pem: .*expired/i],
  },
  { id: 'F024', change: { 'session.jwt_secret': 'x'.repeat(31) }, refused: [/^session\.jwt_s/] },
  { id: 'F024', change: { 'session.jwt_secret': 'abcdefghijklmnopqrstuvwxyz012345' } },
  { id: 'F024', change: { 'session.jwt_secret': [] }, refused: [/^session\.jwt_secret: /] },
  {
    id: 'F027',
    change: { 'store.postgres_url': 'mysql://h/db' },
    refused: [/^store\.postgres_url: /],
  },
  ...[0, 61].map((value) => ({
    id: 'F031',
    change: { 'store.connect_timeout_seconds': value },
    refused: [/^store\.connect_timeout_seconds: /],
  })),
  {
    id: 'F032',
    change: { 'store.readiness_grace_seconds': 3601 },
    refused: [/^store\.readiness_grace_seconds: /],
  },
  { id: 'F033', change: { upstreams: [bedrock({}), bedrock({})] }, refused: [/bedrock/] },
  { id: 'F034', change: upstream({ provider: 'foo' }), refused: [/^upstreams\.0\.provider: /] },
  ...['bedrock', 'anthropicAws'].flatMap((provider) => [
    {
      id: 'F035',
      change: {
        upstreams: [{ ...bedrock({ provider, workspace_id: 'w' }, { aws_access_key_id: 'a' }) }],
      },
      refused: [/^upstreams\.0\.auth/],
    },
    {
      id: 'F036',
      change: {
        upstreams: [{ ...bedrock({ provider, workspace_id: 'w' }, { aws_session_token: 'a' }) }],
      },
      refused: [/^upstreams\.0\.auth/],
    },
  ]),
  {
    id: 'F037',
    change: {
      upstreams: [bedrock({ provider: 'anthropicAws', workspace_id: 'w', region: 'US_East' })],
    },
    refused: [/^upstreams\.0\.region: /],
  },
  {
    id: 'F038',
    change: { upstreams: [bedrock({ provider: 'anthropicAws' })] },
    refused: [/^upstreams\.0\.workspace_id: /],
  },
  {
    id: 'F039',
    change: upstream({ base_url: undefined, forward_user_identity: true }),
    refused: [/^upstreams\.0\.forward_user_identity: /],
  },
  {
    id: 'F040',
    change: { upstreams: [bedrock({ guardrail }), bedrock({ name: 'b2' })] },
    refused: [/guardrail/],
  },
  {
    id: 'F041',
    change: { upstreams: [bedrock({ guardrail: { id: 'g', version: 1 } })] },
    refused: [/^upstreams\.0\.guardrail\.version: /],
  },
  {
    id: 'F042',
    change: {
      upstreams: [
        bedrock({ guardrail }),
        bedrock({ provider: 'mantle', models: ['claude-opus-4-8'] }),
      ],
    },
    refused: [/guardrail/],
  },
  {
    id: 'F043',
    change: { upstreams: [{ provider: 'mantle', auth: {} }] },
    refused: [/^upstreams\.0\.models: /, /^upstreams\.0\.region: /],
  },
  {
    id: 'F044',
    change: {
      upstreams: [bedrock({ assume_role: { role_arn: role } })],
    },
    refused: [/^upstreams\.0\.assume_role/],
  },
  {
    id: 'F045',
    change: { upstreams: [bedrock({ assume_role: { role_arn: 'arn:aws:s3' } }, {})] },
    refused: [/^upstreams\.0\.assume_role\.role_arn: /],
  },
  { id: 'F046', change: upstream({ models: [] }), refused: [/^upstreams\.0\.models: /] },
  { id: 'F046', change: upstream({ models: ['claude-haiku-*'] }) },
  { id: 'F046', change: upstream({ models: ['zzz'] }), warned: [/routes nothing/] },
  ...['authorization', 'anthropic-x', 'x-amz-y'].map((name) => ({
    id: 'F047',
    change: upstream({ headers: { [name]: 'b' } }),
    refused: [new RegExp(`^upstreams\\.0\\.headers\\.${name}: `)],
  })),
  ...[' a', 1, true].map((value) => ({
    id: 'F048',
    change: upstream({ headers: { 'X-A': value } }),
    refused: [/^upstreams\.0\.headers\.X-A: /],
  })),
  {
    id: 'F049',
    change: upstream({ headers: { 'X-A': '${EMPTY}' } }),
    options: { environment: { EMPTY: '' } },
    refused: [/^upstreams\.0\.headers\.X-A: /],
  },
  {
    id: 'F050',
    change: upstream({ base_url: 'http://169.254.169.254' }),
    refused: [/^upstreams\.0\.base_url: /],
  },
  {
    id: 'F051',
    change: { models: [{ id: 'm', label: 'M', upstream_model: { anthropc: 'x' } }] },
    refused: [/^models\.0\.upstream_model\.anthropc: .*anthropic/],
  },
  {
    id: 'F052',
    change: { 'admin.write_keys': [{ id: 'a', key: 'k'.repeat(31) }] },
    refused: [/^admin\.write_keys\.0\.key: /],
  },
  {
    id: 'F053',
    change: { admin: { ...admin, read_keys: [{ id: 'w', key: 'r'.repeat(32) }] } },
    refused: [/^admin\.(read|write)_keys\.0\.id: /],
  },
  {
    id: 'F054',
    change: { 'enforcement.fail_closed_on_error': true },
    refused: [/^enforcement\.fail_closed_on_error: .*admin/],
  },
  { id: 'F055', change: { 'pricing.multiplier': 0.5 }, refused: [/^pricing: .*admin/] },
  ...[0, 11].map((multiplier) => ({
    id: 'F056',
    change: { admin, pricing: { multiplier } },
    refused: [/^pricing\.multiplier: /],
  })),
  {
    id: 'F056 F060',
    change: { admin, pricing: { multiplier: 1.2 } },
    warned: [/^pricing\.multiplier: is above 1/],
  },
  {
    id: 'F057',
    change: priced({
      upstream: 'anthropic',
      model: 'claude-opus-4-8',
      input: 10_001,
      output: 0,
      cache_read: 1,
    }),
    refused: [
      /^pricing\.overrides\.0\.input: /,
      /^pricing\.overrides\.0\.output: /,
      /^pricing\.overrides\.0\.cache_write: /,
    ],
  },
  {
    id: 'F058',
    change: priced({ upstream: 'zz', model: 'claude-opus-4-8', ...rates }),
    refused: [/^pricing\.overrides\.0\.upstream: /],
  },
  {
    id: 'F058',
    change: priced(
      { upstream: 'anthropic', model: 'claude-opus-4-8', ...rates },
      { upstream: 'anthropic', model: 'us.anthropic.claude-opus-4-8', ...rates },
    ),
    refused: [/^pricing\.overrides\.1/],
  },
  {
    id: 'F059',
    change: priced({ upstream: 'anthropic', model: 'zzz', ...rates }),
    warned: [/nobody can ask for/],
  },
  {
    id: 'F061',
    change: policies({ match: { groups: [] }, cli: {} }),
    refused: [/^managed\.policies\.0\.match\.groups: /],
  },
  {
    id: 'F062',
    change: policies({ match: { groups: [''] }, cli: {} }),
    refused: [/^managed\.policies\.0\.match\.groups\.0: /],
  },
  { id: 'F062', change: { 'admin.admin_groups': [''] }, refused: [/^admin\.admin_groups\.0: /] },
  ...['', 'a@b.c', 'a b', 'a,b'].map((email_domain) => ({
    id: 'F063',
    change: policies({ match: { email_domain }, cli: {} }),
    refused: [/^managed\.policies\.0\.match\.email_domain: /],
  })),
  { id: 'F064', change: policies({ match: { email_domain: ' @example.com ' }, cli: {} }) },
  { id: 'F065', change: cli({ zzz: 1, yyy: 2, env: 5 }), refused: [/zzz/, /yyy/, /env/] },
  {
    id: 'F066',
    change: cli({ permissions: { foo: 1 }, env: { ANY: 'x' }, pluginConfigs: { p: { q: 1 } } }),
  },
  { id: 'F067', change: cli({ mcpServers: {} }), refused: [/mcpServers: .*managedMcpServers/] },
  { id: 'F068', change: cli({ managedMcpServers: {} }) },
  {
    id: 'F068',
    change: cli({ managedMcpServers: { tool: { command: '/bin/tool' } } }),
    refused: [/managedMcpServers.*tool/],
  },
  { id: 'F069', change: policies({ match: {}, settings: { env: {} }, cli: { env: {} } }) },
  { id: 'F070', change: policies({ match: {}, code: { env: {} } }) },
  { id: 'F070', change: policies({ match: {}, code: {}, cli: {} }), refused: [/code/] },
  { id: 'F070', change: policies({ match: {}, code: {}, settings: {} }), refused: [/code/] },
  {
    id: 'F070',
    change: policies({ match: { groups: ['a'] }, code: {} }, { match: {}, cli: {} }),
    refused: [/code/],
  },
  {
    id: 'F071',
    change: policies({ match: {}, cli: { env: { A: '1' } }, desktop: {} }),
    warned: [/\.cli: /],
  },
  { id: 'F072', change: desktop({ bootstrapUrl: 'https://x' }), refused: [/bootstrapUrl/] },
  { id: 'F072', change: desktop({ inferenceModels: [] }), refused: [/inferenceModels/] },
  { id: 'F072', change: desktop({ disableAutoUpdates: 'yes' }), refused: [/disableAutoUpdates/] },
  { id: 'F072', change: desktop({ banner: { txt: 'x' } }), refused: [/banner\.txt/] },
  { id: 'F072', change: desktop({ zzz: 1 }), warned: [/desktop\.zzz/] },
  {
    id: 'F073',
    change: desktop({ managedMcpServers: [{ name: 'a', url: 'https://x' }] }),
    warned: [/desktop\.managedMcpServers\.0/],
  },
  {
    id: 'F074',
    change: collectors('http://otel.internal'),
    refused: [/^telemetry\.forward_to\.0\.url: .*https/],
  },
  ...['http://127.0.0.1:4318', 'http://[::1]:4318'].flatMap((url) => [
    {
      id: 'F075',
      change: { ...away, ...collectors(url) },
      options: noLoopback,
      refused: [/^telemetry\.forward_to\.0\.url: .*CLAUDE_GATEWAY_ALLOW_LOOPBACK/],
    },
    { id: 'F075', change: collectors(url) },
  ]),
  {
    id: 'F076',
    change: { ...away, ...collectors('http://localhost:4318') },
    options: noLoopback,
  },
  {
    id: 'F077',
    change: {
      ...collectors('https://o.example.com'),
      'telemetry.resource_attributes': { 'user.x': 'a', team: 'a b,c' },
    },
    refused: [/resource_attributes.*user\.x/, /resource_attributes\.team/],
  },
  { id: 'F078', change: { load_test_mode: {} }, refused: [/^load_test_mode\.enabled: /] },
  {
    id: 'F078',
    change: { load_test_mode: { enabled: true, reply_tokens: -1 } },
    refused: [/^load_test_mode\.reply_tokens: /],
  },
  { id: 'F347', change: { login_notice: 'a'.repeat(501) }, refused: [/^login_notice: /] },
  { id: 'F347', change: { login_notice: '' }, refused: [/^login_notice: /] },
  {
    id: 'F349',
    change: { 'cri.enabled': true },
    refused: [/^cri\.audience: /, /^cri\.org_allowlist: /],
  },
  { id: 'F349', change: { cri: {} }, warned: [/^cri: /] },
  { id: 'F350', change: upstream({ groups: [] }), refused: [/^upstreams\.0\.groups: /] },
  { id: 'F350', change: upstream({ groups: [''] }), refused: [/^upstreams\.0\.groups\.0: /] },
  {
    id: 'F351',
    change: { upstreams: [{ provider: 'anthropicGoogleCloud', auth: {} }] },
    refused: [/^upstreams\.0\.project_id: /, /^upstreams\.0\.workspace_id: /],
  },
  ...[undefined, 'r', '-ab', 'a_b', 'a'.repeat(65)].map((resource) => ({
    id: 'F352',
    change: { upstreams: [{ provider: 'foundry', resource, auth: { api_key: 'k' } }] },
    refused: [/^upstreams\.0\.resource: /],
  })),
  ...['a b', 'anthropicX', 'a'.repeat(65)].map((billing_group_tag) => ({
    id: 'F353',
    change: { admin: { ...admin, billing_group_tag } },
    refused: [/^admin\.billing_group_tag: /],
  })),
  {
    id: 'F354',
    change: { 'oidc.client_assertion': { private_key_pem: key, certificate_pem: certificate } },
    refused: [/^oidc\.client_assertion: /],
  },
  {
    id: 'F354',
    change: { 'oidc.user_id_claim': '', 'oidc.scope_on_refresh': 'yes' },
    refused: [/^oidc\.user_id_claim: /, /^oidc\.scope_on_refresh: /],
  },
  ...[{ cli: {} }, { code: {} }, {}].map((block) => ({
    id: 'F355',
    change: policies({ match: {}, ...block, serve_to_desktop: true }),
  })),
  {
    id: 'F356',
    change: { 'telemetry.resource_attributes': { a: 'b' } },
    warned: [/^telemetry\.resource_attributes: has no effect/],
  },
  ...['http://h/base', 'http://h?x=1', 'ftp://h'].map((url) => ({
    id: 'B005',
    change: { 'listen.public_url': url },
    refused: [/^listen\.public_url: /],
  })),
  ...[0, -1].map((hours) => ({
    id: 'B006',
    change: { 'session.ttl_hours': hours },
    refused: [/^session\.ttl_hours: /],
  })),
  {
    id: 'B007',
    change: {
      admin: { ...admin, read_keys: [{ id: 'r', key: admin.write_keys[0]?.key }] },
    },
    refused: [/^admin\.(read|write)_keys\.0\.key: /],
  },
  {
    id: 'B007',
    change: policies({ match: { groups: [' '] }, cli: {} }),
    refused: [/^managed\.policies\.0\.match\.groups\.0: /],
  },
  {
    id: 'B007',
    change: { 'session.jwt_secret': ['x'.repeat(32), 'x'.repeat(32)] },
    warned: [/^session\.jwt_secret/],
  },
]

function verdict({ change, options }: Row): Loaded {
  return loadWith(change, options)
}

for (const id of new Set(rows.map((row) => row.id))) {
  test(`acceptance: ${id} is decided by the file alone`, () => {
    for (const row of rows.filter((each) => each.id === id)) {
      const { problems, warnings } = verdict(row)
      const said = `${Object.keys(row.change).join()}\n${[...problems, ...warnings].join('\n')}`
      const { refused = [], warned = [] } = row
      if (refused.length === 0) assert.deepEqual(problems, [], said)
      for (const words of refused)
        assert.ok(
          problems.some((line) => words.test(line)),
          said,
        )
      for (const words of warned)
        assert.ok(
          warnings.some((line) => words.test(line)),
          said,
        )
    }
  })
}

test('acceptance: F005 F008 references are followed within longer texts, files are not', () => {
  const values = (text: string): unknown =>
    loadWith(
      { ...upstream({ headers: { 'X-A': text } }) },
      { environment: { T: 'tok' }, files: { '/s': 'secret' } },
    ).config().upstreams[0]
  const header = (text: string): string => JSON.stringify(values(text))
  assert.match(header('Bearer ${T}'), /"X-A":"Bearer tok"/)
  assert.match(header('$${T}'), /"X-A":"\$tok"/)
  assert.match(header('$T'), /"X-A":"\$T"/)
  assert.match(header('${T:-d}'), /"X-A":"\$\{T:-d\}"/)
  assert.match(header('a ${file:/s}'), /"X-A":"a \$\{file:\/s\}"/)
})

test('acceptance: F010 F026 F030 F031 F032 what is left out has the documented default', () => {
  const { listen, session, store } = loadWith({
    'listen.host': undefined,
    'listen.port': undefined,
  }).config()
  assert.deepEqual([listen.host, listen.port, session.ttl_hours], ['0.0.0.0', 8080, 1])
  assert.equal(store.max_connections, 5)
  assert.equal(store.connect_timeout_seconds, 5)
  assert.equal(store.readiness_grace_seconds, 0)
})

test('acceptance: F023 boot says with which certificate it authenticates', () => {
  const { loaded } = loadWith({ ...assertion(key, certificate) })
  assert.ok(loaded.kind === 'ok')
  const note = loaded.notes.join()
  assert.match(note, /^oidc: client authentication private_key_jwt/)
  assert.match(note, /CN=.*SHA-1 thumbprint [0-9A-F]{40}, expires \d{4}-\d\d-\d\d/)
})

test('acceptance: F347 control characters leave the notice', () => {
  const { login_notice } = loadWith({ login_notice: 'Hello \u001B[31mred\u0007\nline' }).config()
  assert.doesNotMatch(String(login_notice), /[\p{Cc}]/u)
  assert.match(String(login_notice), /^Hello .*line$/)
})

test('acceptance: B055 without extensions every default is the documented one', () => {
  const plain = loadWith({}).config()
  assert.deepEqual(loadWith({ extensions: {} }).config().extensions, plain.extensions)
})

test('acceptance: B056 settings cannot come in through a prototype', () => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    for (const text of [
      `${name}:\n  admin: { admin_groups: [x] }\n`,
      `{"${name}": {"admin": {"admin_groups": ["x"]}}}`,
    ]) {
      const { loaded, problems } = loadText(text)
      assert.equal(loaded.kind, 'invalid')
      assert.ok(
        problems.some((line) => line.includes(name)),
        problems.join('\n'),
      )
    }
  }
})

test('acceptance: B057 aliases in a circle or without end are refused at once', () => {
  const bomb = [
    'a: &a0 [x]',
    ...Array.from({ length: 12 }, (_, n) => `k${n}: &a${n + 1} [${`*a${n},`.repeat(9)}]`),
  ]
  for (const text of ['a: &a [*a]\n', `${bomb.join('\n')}\n`]) {
    const startedAt = performance.now()
    const { loaded, problems } = loadText(text)
    assert.equal(loaded.kind, 'invalid')
    assert.match(problems.join('\n'), /alias|anchor/i)
    // A second is promised; a cycle that is followed never ends.
    assert.ok(performance.now() - startedAt < 5000)
  }
})
