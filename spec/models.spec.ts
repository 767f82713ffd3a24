/** `GET /v1/models`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelConfig } from '../lib/catalogue/config.ts'
import type { CatalogueUpstream } from '../lib/catalogue/entry.ts'
import { createCatalogue } from '../lib/catalogue/resolve.ts'
import type { Reply } from '../lib/http/exchange.ts'
import type { Caller } from '../lib/kernel/caller.ts'
import { createModelsHandler } from '../lib/models.ts'
import { createModelAccess } from '../lib/policy/model-access.ts'
import type { Policy } from '../lib/policy/policy.ts'
import { callerOf, createParts, exchangeOf, recorded, setups } from './policy/recorded-managed.ts'

const caller = (...groups: string[]): Caller => ({
  sub: 'u1',
  email: undefined,
  name: undefined,
  groups,
  expiresAt: 0,
})
const one: CatalogueUpstream[] = [{ name: 'u1', provider: 'anthropic' }]

const list = async (
  models: readonly ModelConfig[],
  policies: readonly Policy[] = [],
  upstreams = one,
  who = caller(),
): Promise<Reply> => {
  const catalogue = createCatalogue(upstreams, { models, auto_include_builtin_models: true })
  return createModelsHandler(catalogue, createModelAccess(policies, catalogue))(exchangeOf(), who)
}
const shown = ({ body: text }: Reply): { id: string; display_name: string }[] =>
  JSON.parse(typeof text === 'string' ? text : assert.fail('the list is text')).data
const ids = async (reply: Promise<Reply>): Promise<string[]> =>
  shown(await reply).map(({ id }) => id)

for (const request of recorded.filter(({ path }) => path === '/v1/models')) {
  test(`models: ${request.config}: byte for byte as recorded, whatever the query (F147)`, async () => {
    const { catalogue, access } = createParts(setups[request.config] ?? assert.fail('no setup'))
    const exchange = { ...exchangeOf(), query: '?limit=1&after_id=x' }
    const reply = await createModelsHandler(catalogue, access)(exchange, callerOf(request))
    assert.equal(reply.status, 200)
    assert.deepEqual(reply.headers, [['Content-Type', 'application/json;charset=utf-8']])
    assert.equal(reply.body, request.body)
  })
}

test('models: an empty label does not hide the id', async () => {
  const reply = await list([{ id: 'mine', label: '', upstream_model: { u1: 'x' } }])
  assert.equal(shown(reply)[0]?.display_name, 'mine')
})

test('models: the list follows the caller: their policy and their upstreams', async () => {
  const upstreams: CatalogueUpstream[] = [
    { name: 'u1', provider: 'anthropic', models: ['claude-haiku-*'] },
    { name: 'u2', provider: 'anthropic', groups: ['vip'], models: ['claude-opus-5'] },
  ]
  const policies = [{ match: { groups: ['vip'] }, cli: { deniedModels: ['claude-haiku-5-5'] } }]
  const haikus = ['claude-haiku-4-5-20251001', 'claude-haiku-5-5']
  assert.deepEqual(await ids(list([], policies, upstreams, caller('eng'))), haikus)
  assert.deepEqual(await ids(list([], policies, upstreams, caller('vip'))), [
    'claude-haiku-4-5-20251001',
    'claude-opus-5',
  ])
})
