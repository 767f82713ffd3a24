/** Entries of `upstreams[].models` that route nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findIdleModels } from '../../lib/catalogue/idle-models.ts'

const models = [{ id: 'mine', upstream_model: { second: 'x' } }]
const config = { models, auto_include_builtin_models: true }

test('idle models: an entry that some model can pass by is not idle', () => {
  const upstreams = [
    { name: 'first', provider: 'anthropic', models: ['claude-opus-5', '*-5', 'US.anthropic.*'] },
    { name: 'second', provider: 'mantle', models: ['mine', 'anthropic.claude-haiku-4-5'] },
  ] as const
  assert.deepEqual(findIdleModels(upstreams, config), [])
})

test('idle models: misspelled ids, and models the upstream does not offer, are named by place', () => {
  const upstreams = [
    { name: 'first', provider: 'anthropic', models: ['claude-opus-5', 'opus', 'mine'] },
    { name: 'second', provider: 'mantle', models: ['claude-opus-4-6', 'claude-3*', 'mine'] },
    { name: 'third', provider: 'vertex' },
  ] as const
  assert.deepEqual(findIdleModels(upstreams, config), [
    { upstream: 0, entry: 1 },
    { upstream: 0, entry: 2 },
    { upstream: 1, entry: 0 },
    { upstream: 1, entry: 1 },
  ])
})

test('idle models: without built-ins their ids are idle', () => {
  const upstreams = [
    { name: 'second', provider: 'anthropic', models: ['claude-*', 'MINE'] },
  ] as const
  assert.deepEqual(findIdleModels(upstreams, { models, auto_include_builtin_models: false }), [
    { upstream: 0, entry: 0 },
  ])
})
