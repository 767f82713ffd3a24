/** From what a client asks for to what each upstream is sent. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CatalogueUpstream } from '../../lib/catalogue/entry.ts'
import type { Provider } from '../../lib/catalogue/models.ts'
import { type Catalogue, createCatalogue } from '../../lib/catalogue/resolve.ts'

const builtIn = { models: [], auto_include_builtin_models: true }
const upstream = (
  name: string,
  provider: Provider = 'anthropic',
  limits: { models?: string[]; groups?: string[] } = {},
): CatalogueUpstream => ({ name, provider, ...limits })

/** `upstream=id` for every route, or the text the client gets. */
const ask = (catalogue: Catalogue, model: string, groups: readonly string[] = []): string => {
  const answer = catalogue.resolve(model, groups)
  if (answer.kind === 'unknown') return answer.message
  return answer.routes.map((route) => `${route.upstream}=${route.model}`).join(' ')
}
const unknown = (model: string): string => `model ${model} is not in the operator's model allowlist`

// Recorded answers: 130 ids on five providers.
const fixture = join(import.meta.dirname, '../fixtures/catalogue/models.tsv')
const recorded = readFileSync(fixture, 'utf8')
  .split('\n')
  .slice(1)
  .filter((line) => line !== '')
  .map((line) => line.split('\t'))
const named: readonly Provider[] = ['anthropic', 'anthropicAws', 'bedrock', 'foundry', 'vertex']
for (const provider of named) {
  test(`resolve: 130 ids end up at ${provider} under the id it takes, or nowhere`, () => {
    const catalogue = createCatalogue([upstream('u', provider)], builtIn)
    const rows = recorded.filter((row) => row[1] === provider)
    assert.equal(rows.length, 130)
    for (const [sent = '', , status, inPath = '', inBody = ''] of rows) {
      const model = sent.replace(String.raw`\u0000`, '\0')
      if (status === '200') assert.equal(ask(catalogue, model), `u=${inPath || inBody}`)
      else assert.match(ask(catalogue, model), /^model .*is not in the operator's model allowlist$/)
    }
  })
}

test('resolve: a built-in goes to every upstream in order, each under its own id (F156)', () => {
  const upstreams = [upstream('v', 'vertex'), upstream('b', 'bedrock'), upstream('m', 'mantle')]
  const catalogue = createCatalogue(upstreams, builtIn)
  const routes =
    'v=claude-haiku-4-5@20251001 b=us.anthropic.claude-haiku-4-5-20251001-v1:0 ' +
    'm=anthropic.claude-haiku-4-5'
  assert.equal(ask(catalogue, 'Claude-Haiku-4-5'), routes)
  assert.equal(ask(catalogue, 'anthropic.claude-haiku-4-5'), routes)
})

test('resolve: an upstream that does not offer a built-in is skipped with its reason', () => {
  const upstreams = [upstream('m', 'mantle'), upstream('g', 'anthropicGoogleCloud')]
  const catalogue = createCatalogue(upstreams, builtIn)
  assert.deepEqual(catalogue.resolve('claude-sonnet-4-6', []), {
    kind: 'routes',
    routes: [{ upstream: 'g', model: 'claude-sonnet-4-6' }],
    skipped: [{ upstream: 'm', reason: 'model claude-sonnet-4-6 is not available on mantle' }],
  })
  assert.equal(ask(catalogue, 'claude-opus-4-1'), unknown('claude-opus-4-1'))
})

const mapping = {
  models: [
    { id: 'claude-opus-4-8', upstream_model: { b1: 'arn:aws:bedrock:us-east-1:1:profile/abc' } },
    { id: 'my-alias', upstream_model: { f1: 'deploy-x' } },
    {
      id: 'both',
      upstream_model: { a1: 'claude-sonnet-4-6', b1: 'eu.anthropic.claude-sonnet-4-6' },
    },
    { id: 'claude-haiku-4-5-20251001', upstream_model: { a1: 'claude-haiku-custom' } },
    { id: 'long[1m]', upstream_model: { a1: 'claude-sonnet-4-6' } },
    { id: 'blank', upstream_model: { a1: '' } },
    { id: 'tést', upstream_model: { f1: 'x' } },
  ],
  auto_include_builtin_models: true,
}
const three = [upstream('a1'), upstream('b1', 'bedrock'), upstream('f1', 'foundry')]
const custom: readonly [model: string, routes: string][] = [
  ['my-alias', 'f1=deploy-x'],
  ['MY-ALIAS', 'f1=deploy-x'],
  ['both', 'a1=claude-sonnet-4-6 b1=eu.anthropic.claude-sonnet-4-6'],
  [
    'us.anthropic.claude-opus-4-8',
    'a1=claude-opus-4-8 b1=arn:aws:bedrock:us-east-1:1:profile/abc f1=claude-opus-4-8',
  ],
  [
    'claude-haiku-4-5',
    'a1=claude-haiku-custom b1=us.anthropic.claude-haiku-4-5-20251001-v1:0 f1=claude-haiku-4-5',
  ],
  [
    'claude-haiku-4-5@20251001',
    'a1=claude-haiku-custom b1=us.anthropic.claude-haiku-4-5-20251001-v1:0 f1=claude-haiku-4-5',
  ],
  ['long[1m]', 'a1=claude-sonnet-4-6'],
  ['LONG[1M]', 'a1=claude-sonnet-4-6'],
  ['long', unknown('long')],
  ['deploy-x', unknown('deploy-x')],
  ['arn:aws:bedrock:us-east-1:1:profile/abc', unknown('arn:aws:bedrock:us-east-1:1:profile/abc')],
  ['claude-opus-4-8[1m]', unknown('claude-opus-4-8[1m]')],
  ['blank', unknown('blank')],
  ['tést', 'f1=x'],
  ['constructor', unknown('constructor')],
  ['__proto__', unknown('__proto__')],
]
for (const [model, routes] of custom) {
  test(`resolve: with custom models, ${model} → ${routes} (F154 F155)`, () => {
    assert.equal(ask(createCatalogue(three, mapping), model), routes)
  })
}

test('resolve: without built-ins only listed ids route, a listed built-in in all its forms (F148)', () => {
  const config = { ...mapping, auto_include_builtin_models: false }
  const catalogue = createCatalogue(three, config)
  assert.equal(ask(catalogue, 'my-alias'), 'f1=deploy-x')
  assert.match(ask(catalogue, 'us.anthropic.claude-opus-4-8'), /^a1=claude-opus-4-8 b1=arn/)
  assert.equal(ask(catalogue, 'claude-sonnet-4-6'), unknown('claude-sonnet-4-6'))
})

test('resolve: of two custom entries for one built-in the first routes all its spellings', () => {
  const models = [
    { id: 'claude-sonnet-4-5', upstream_model: { a1: 'x1' } },
    { id: 'claude-sonnet-4-5-20250929', upstream_model: { a1: 'x2' } },
  ]
  const config = { models, auto_include_builtin_models: true }
  const catalogue = createCatalogue([upstream('a1')], config)
  assert.equal(ask(catalogue, 'claude-sonnet-4-5-20250929'), 'a1=x1')
})

test('resolve: an upstream named like an object property is an ordinary key', () => {
  const models = [{ id: 'mine', upstream_model: { ok: 'x' } }]
  const config = { models, auto_include_builtin_models: true }
  const catalogue = createCatalogue([upstream('constructor'), upstream('ok')], config)
  assert.equal(ask(catalogue, 'mine'), 'ok=x')
})

test('resolve: allow lists of upstreams narrow the routes', () => {
  const upstreams = [
    upstream('u1', 'anthropic', {
      models: ['claude-haiku-*', 'us.anthropic.claude-opus-4-8', 'CLAUDE-OPUS-5', 'my*'],
    }),
    upstream('u2', 'anthropic', { models: ['claude-opus-5'] }),
  ]
  const catalogue = createCatalogue(upstreams, builtIn)
  assert.equal(ask(catalogue, 'claude-opus-5'), 'u1=claude-opus-5 u2=claude-opus-5')
  assert.equal(ask(catalogue, 'claude-opus-4-8'), 'u1=claude-opus-4-8')
  assert.equal(ask(catalogue, 'CLAUDE-HAIKU-4-5'), 'u1=claude-haiku-4-5-20251001')
  const bedrockSpelling = 'us.anthropic.claude-haiku-4-5-20251001-v1:0'
  assert.deepEqual(catalogue.resolve(bedrockSpelling, []), {
    kind: 'unknown',
    message: unknown(bedrockSpelling),
    logText:
      `u1: model ${bedrockSpelling} is not served by upstream 'u1'; ` +
      `u2: model ${bedrockSpelling} is not served by upstream 'u2'`,
  })
})

test('resolve: an upstream with groups serves their members only, spelled exactly', () => {
  const upstreams = [upstream('u1', 'anthropic', { groups: ['vip', 'x'] }), upstream('u2')]
  const catalogue = createCatalogue(upstreams, builtIn)
  assert.equal(ask(catalogue, 'claude-opus-5', ['eng', 'vip']), 'u1=claude-opus-5 u2=claude-opus-5')
  assert.equal(ask(catalogue, 'claude-opus-5', ['VIP']), 'u2=claude-opus-5')
  assert.equal(ask(catalogue, 'claude-opus-5'), 'u2=claude-opus-5')
})

test('resolve: a caller whom every upstream excludes is told about groups, not models', () => {
  const catalogue = createCatalogue([upstream('u1', 'anthropic', { groups: ['vip'] })], builtIn)
  assert.match(ask(catalogue, 'claude-opus-5', ['eng']), /your groups/)
  assert.match(ask(catalogue, 'zzz', ['eng']), /your groups/)
  assert.deepEqual(catalogue.list(['eng']), [])
})

test('resolve: an unknown model is named once to the client and per upstream in the log', () => {
  const catalogue = createCatalogue([upstream('a1'), upstream('b1', 'bedrock')], builtIn)
  assert.deepEqual(catalogue.resolve('zzz', []), {
    kind: 'unknown',
    message: unknown('zzz'),
    logText: `a1: ${unknown('zzz')}; b1: ${unknown('zzz')}`,
  })
})

test('resolve: control and non-ASCII characters of a model never come back', () => {
  const catalogue = createCatalogue([upstream('a1')], builtIn)
  assert.equal(ask(catalogue, 'zz"é\n\u001B[31m<\u202E\uD800z\u007F'), unknown('zz"[31m<z'))
  assert.equal(ask(catalogue, 'モデル'), unknown(''))
  assert.equal(ask(catalogue, '   '), unknown('   '))
})

test('resolve: a model as long as a body is refused with a short text', () => {
  const catalogue = createCatalogue([upstream('a1'), upstream('a2')], builtIn)
  const answer = catalogue.resolve('x'.repeat(32 * 1024 * 1024), [])
  assert.ok(answer.kind === 'unknown')
  assert.ok(answer.message.length < 1000 && answer.logText.length < 2000)
  assert.deepEqual(catalogue.namesOf('x'.repeat(1024 * 1024)), [])
})

test('resolve: the same request costs one lookup: the same answer object comes back', () => {
  const catalogue = createCatalogue([upstream('a1')], builtIn)
  assert.equal(catalogue.resolve('claude-opus-5', []), catalogue.resolve('CLAUDE-opus-5', ['a']))
})

test('list: shows what the caller can be served, and nothing else', () => {
  const upstreams = [
    upstream('u1', 'anthropic', { models: ['claude-haiku-*', 'my-1'] }),
    upstream('u2', 'anthropic', { models: ['claude-opus-5', 'only2'], groups: ['vip'] }),
  ]
  const models = [
    { id: 'my-1', label: 'Mine', description: 'd', upstream_model: { u1: 'm1' } },
    { id: 'only2', upstream_model: { u2: 'm2' } },
  ]
  const catalogue = createCatalogue(upstreams, { models, auto_include_builtin_models: true })
  const ids = (groups: string[]): string[] => catalogue.list(groups).map(({ id }) => id)
  assert.deepEqual(ids([]), ['my-1', 'claude-haiku-4-5-20251001', 'claude-haiku-5-5'])
  assert.deepEqual(ids(['vip']), [
    'my-1',
    'only2',
    'claude-haiku-4-5-20251001',
    'claude-opus-5',
    'claude-haiku-5-5',
  ])
  assert.deepEqual(catalogue.list([])[0], {
    id: 'my-1',
    label: 'Mine',
    description: 'd',
    maxInputTokens: null,
    supports1m: false,
  })
})

test('names: a model goes by its own name and by every id upstreams are sent', () => {
  const catalogue = createCatalogue(three, mapping)
  assert.deepEqual(catalogue.namesOf('US.anthropic.claude-opus-4-8'), [
    'claude-opus-4-8',
    'arn:aws:bedrock:us-east-1:1:profile/abc',
  ])
  assert.deepEqual(catalogue.namesOf('both'), [
    'claude-sonnet-4-6',
    'eu.anthropic.claude-sonnet-4-6',
  ])
  assert.deepEqual(catalogue.namesOf('zzz'), [])
})

test('resolve: an added model routes like a built-in one', () => {
  const added = [
    { id: 'claude-opus-6', forms: { anthropic: 'claude-opus-6-20270101', foundry: 'o6' } },
  ]
  const catalogue = createCatalogue(three, builtIn, added)
  assert.equal(ask(catalogue, 'O6'), 'a1=claude-opus-6-20270101 f1=o6')
})
