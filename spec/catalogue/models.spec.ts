/** The table of built-in models holds together: no spelling means two models. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInModels, providers } from '../../lib/catalogue/models.ts'
import { spellingsOf } from '../../lib/catalogue/recognise.ts'

test('catalogue: no spelling of one built-in is a spelling of another', () => {
  const owners = new Map<string, string>()
  for (const model of builtInModels) {
    for (const spelling of spellingsOf(model)) {
      assert.equal(owners.get(spelling), undefined, `${spelling} is claimed twice`)
      owners.set(spelling, model.name)
    }
  }
})

test('catalogue: every built-in is offered by the five providers that offer them all', () => {
  for (const { name, forms } of builtInModels) {
    for (const provider of ['anthropic', 'anthropicAws', 'bedrock', 'vertex', 'foundry'] as const) {
      assert.ok(forms[provider], `${name} has no form for ${provider}`)
    }
  }
})

test('catalogue: forms belong to known providers and hold no space or upper case', () => {
  for (const { name, forms } of builtInModels) {
    for (const [provider, form] of Object.entries(forms)) {
      assert.ok(
        providers.some((known) => known === provider),
        `${name}: ${provider}`,
      )
      assert.match(form, /^[a-z0-9@:.-]+$/)
    }
  }
})

test('catalogue: mantle and Google Cloud offer only the models they were seen to take', () => {
  const lacking = (provider: 'mantle' | 'anthropicGoogleCloud'): string[] =>
    builtInModels.filter(({ forms }) => forms[provider] === undefined).map(({ name }) => name)
  const third = ['claude-3-7-sonnet', 'claude-3-5-sonnet', 'claude-3-5-haiku']
  assert.deepEqual(lacking('anthropicGoogleCloud'), [
    'claude-opus-4-1',
    'claude-opus-4',
    'claude-sonnet-4',
    ...third,
  ])
  assert.deepEqual(lacking('mantle'), [
    'claude-opus-4-6',
    'claude-sonnet-4-5',
    'claude-opus-4-1',
    'claude-sonnet-4-6',
    'claude-opus-4-5',
    'claude-opus-4',
    'claude-sonnet-4',
    ...third,
  ])
})
