/** `models` and `extensions.models`: names that must exist, entries that do nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkModelExtensions,
  checkModels,
  requestableModels,
  warnAboutIdleModels,
} from '../../lib/catalogue/config-check.ts'
import { catalogueKeys } from '../../lib/catalogue/config.ts'
import { loadWith } from '../config/load.ts'

const model = { id: 'm', upstream_model: { anthropic: 'x' } }
const silent = { error: () => assert.fail(), warn: () => assert.fail() }

test('models: entries have an id and at least one upstream', () => {
  assert.deepEqual(Object.keys(catalogueKeys), ['models', 'auto_include_builtin_models'])
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ upstream_model: { anthropic: 'x' } }, /^models\.0\.id: .*found nothing/],
    [{ id: '', upstream_model: { anthropic: 'x' } }, /^models\.0\.id: .*empty text/],
    [{ id: 'm' }, /^models\.0\.upstream_model: .*found nothing/],
    [{ id: 'm', upstream_model: {} }, /^models\.0\.upstream_model: .*an empty block/],
    [{ ...model, name: 'x' }, /unknown key "name"/],
  ]
  for (const [entry, pattern] of cases)
    assert.match(loadWith({ models: [entry] }).problems.join(), pattern)
})

test('models: a key of the map is the name of an upstream', () => {
  const { problems } = loadWith({ models: [{ id: 'm', upstream_model: { anthropc: 'x' } }] })
  assert.deepEqual(problems, [
    'models.0.upstream_model.anthropc: expected the name of an upstream (anthropic), found the name "anthropc"; did you mean anthropic?',
  ])
})

test('models: the same id twice and an empty mapping are warned about', () => {
  const { warnings } = loadWith({
    models: [model, model, { id: 'n', upstream_model: { anthropic: '' } }],
  })
  assert.deepEqual(warnings, [
    'models.1.id: is the id of models.0 too; the first one counts',
    'models.2.upstream_model.anthropic: is empty, so it maps to nothing',
  ])
})

test('models: nothing is compared with names that are in doubt', () => {
  checkModels([model, undefined, {}], null, silent)
  checkModels(undefined, [], silent)
})

test('models: an extension names providers', () => {
  const { problems } = loadWith({
    extensions: { models: [{ id: 'm', forms: { anthropic: 'a', bedrok: 'b' } }] },
  })
  assert.match(problems.join(), /^extensions\.models\.0\.forms\.bedrok: .*did you mean bedrock\?$/)
  checkModelExtensions(undefined, silent)
  checkModelExtensions([undefined, {}], silent)
})

test('models: an allow-list entry that routes nothing is warned about by place', () => {
  const { warnings } = loadWith({ 'upstreams.0.models': ['claude-opus-4-8', 'claude-opsu-*'] })
  assert.match(warnings.join(), /^upstreams\.0\.models\.1: routes nothing/)
  warnAboutIdleModels([], { models: [], auto_include_builtin_models: true }, [], silent)
})

test('models: what can be asked for includes every spelling and every id that is sent', () => {
  const upstreams = [{ name: 'a', provider: 'anthropic' as const }]
  const config = {
    models: [{ id: 'Mine', upstream_model: { a: 'Theirs' } }],
    auto_include_builtin_models: false,
  }
  const own = requestableModels(upstreams, config, [])
  assert.deepEqual([...own], ['mine', 'theirs'])
  const all = requestableModels(upstreams, { ...config, auto_include_builtin_models: true }, [])
  assert.ok(all.has('us.anthropic.claude-opus-4-8'))
})
