/** `GET /v1/models`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ModelConfig } from '../lib/catalogue/config.ts'
import type { CatalogueUpstream } from '../lib/catalogue/entry.ts'
import { createCatalogue } from '../lib/catalogue/resolve.ts'
import type { Exchange, Reply } from '../lib/http/exchange.ts'
import type { Caller } from '../lib/kernel/caller.ts'
import { createModelsHandler } from '../lib/models.ts'
import { createModelAccess } from '../lib/policy/model-access.ts'
import type { Policy } from '../lib/policy/policy.ts'

const fixture = join(import.meta.dirname, 'fixtures/policy/managed.json')
const recorded: { config: string; request: string; body: string }[] = JSON.parse(
  readFileSync(fixture, 'utf8'),
)
const body = (config: string): string =>
  recorded.find((each) => each.config === config && each.request === 'models')?.body ?? ''

const exchange: Exchange = {
  method: 'GET',
  path: '/v1/models',
  query: '?limit=1&after_id=x',
  headers: {},
  headerLines: () => [],
  requestId: 'r',
  clientAddress: '127.0.0.1',
  signal: new AbortController().signal,
  startedAt: 0,
  readBody: () => Promise.reject(new Error('a list needs no body')),
}
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
  return createModelsHandler(catalogue, createModelAccess(policies, catalogue))(exchange, who)
}
const shown = ({ body: text }: Reply): { id: string; display_name: string }[] =>
  JSON.parse(typeof text === 'string' ? text : assert.fail('the list is text')).data
const ids = async (reply: Promise<Reply>): Promise<string[]> =>
  shown(await reply).map(({ id }) => id)

test('models: the whole list is byte for byte as recorded, whatever the query', async () => {
  const reply = await list([])
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.headers, [['Content-Type', 'application/json;charset=utf-8']])
  assert.equal(reply.body, body('all models'))
})

test('models: labels, descriptions and inherited limits are as recorded', async () => {
  const models = [
    {
      id: 'my-model',
      label: 'My Model',
      description: 'desc',
      upstream_model: { u1: 'claude-opus-5' },
    },
    { id: 'claude-sonnet-4-6', label: 'Sonnet!', upstream_model: { u1: 'claude-sonnet-4-6' } },
  ]
  const availableModels = ['opus', 'my-model', 'claude-sonnet-4-6']
  assert.equal((await list(models, [{ cli: { availableModels } }])).body, body('models block'))
})

test('models: a list of nothing is a list', async () => {
  const reply = await list([], [{ cli: { availableModels: [] } }])
  assert.equal(reply.body, body('no models at all'))
})

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
