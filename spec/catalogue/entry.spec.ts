/** What can be asked for, and what lists say of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelConfig } from '../../lib/catalogue/config.ts'
import {
  capacityOf,
  type CatalogueUpstream,
  createEntries,
  knownModels,
} from '../../lib/catalogue/entry.ts'
import { createRecogniser } from '../../lib/catalogue/recognise.ts'

const one = { name: 'u1', provider: 'anthropic' } as const
const two = { name: 'u2', provider: 'anthropic' } as const
const custom = (id: string, first?: string, second?: string): ModelConfig => ({
  id,
  upstream_model: {
    ...(first === undefined ? {} : { u1: first }),
    ...(second === undefined ? {} : { u2: second }),
  },
})
const recognise = createRecogniser(knownModels([]))

/** `id`, `id:limit` or `id:limit+` (with the long context) for every listed entry. */
const listing = (
  models: readonly ModelConfig[],
  upstreams: readonly CatalogueUpstream[] = [one],
): string[] => {
  const config = { models, auto_include_builtin_models: true }
  return createEntries(upstreams, config, []).flatMap((entry) => {
    if (entry.listing === null) return []
    const { maxInputTokens, supports1m } = capacityOf(entry, recognise)
    const limit = maxInputTokens === null ? '' : `:${maxInputTokens / 1000}k`
    return [`${entry.listing.id}${limit}${supports1m ? '+' : ''}`]
  })
}
const builtIns =
  'claude-opus-4-6+ claude-sonnet-4-5-20250929 claude-haiku-4-5-20251001:200k ' +
  'claude-fable-5-2:1000k+ claude-fable-5-1:1000k+ claude-fable-5:1000k+ ' +
  'claude-opus-5-5:1000k+ claude-opus-5:1000k+ claude-opus-4-8:1000k+ claude-opus-4-7:1000k+ ' +
  'claude-opus-4-1-20250805:200k claude-sonnet-5-5:1000k+ claude-sonnet-5:1000k+ ' +
  'claude-sonnet-4-6+ claude-haiku-5-5:1000k+'

test('entries: the built-ins are listed in their order with what is known of them (F147)', () => {
  assert.equal(listing([]).join(' '), builtIns)
})

test('entries: custom models come first in file order and hide the same id only', () => {
  const models = [
    custom('claude-sonnet-4-5', 'x1'),
    custom('mine', 'claude-opus-5-5'),
    custom('claude-sonnet-5', 'claude-sonnet-5'),
  ]
  const rest = builtIns.replace('claude-sonnet-5:1000k+ ', '')
  assert.equal(
    listing(models).join(' '),
    `claude-sonnet-4-5 mine:1000k+ claude-sonnet-5:1000k+ ${rest}`,
  )
})

test('entries: a built-in mapped under another spelling is listed with the mapped capacity', () => {
  const shown = listing([
    custom('CLAUDE-OPUS-4-8', 'arn'),
    custom('claude-haiku-4-5', 'claude-opus-5'),
  ])
  assert.ok(shown.includes('CLAUDE-OPUS-4-8+'))
  assert.ok(shown.includes('claude-opus-4-8+'), 'the limit of an unknown id is unknown')
  assert.ok(shown.includes('claude-haiku-4-5:1000k'))
  assert.ok(shown.includes('claude-haiku-4-5-20251001:1000k'))
})

test('entries: without built-ins only the listed ids are there (F148)', () => {
  const config = { models: [custom('mine', 'x')], auto_include_builtin_models: false }
  const entries = createEntries([one], config, [])
  assert.deepEqual(
    entries.map(({ spellings }) => [...spellings]),
    [['mine']],
  )
})

const capacities: readonly [of: ModelConfig, shown: string][] = [
  [custom('a', 'claude-opus-5', 'claude-sonnet-4-5'), 'a'],
  [custom('b', 'claude-opus-5', 'zzz'), 'b+'],
  [custom('c', 'zzz'), 'c'],
  [custom('d[1m]', 'zzz'), 'd[1m]'],
  [custom('e[1m]', 'claude-opus-5'), 'e[1m]:1000k'],
  [custom('g', 'claude-opus-5[1m]'), 'g:1000k+'],
  [custom('h', 'zzz[1m]'), 'h'],
  [custom('i', 'claude-opus-5', 'claude-haiku-4-5'), 'i:200k'],
  [custom('q', 'eu.anthropic.claude-opus-5'), 'q:1000k+'],
  [
    custom('r', 'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5'),
    'r:1000k+',
  ],
  [custom('s', 'claude-opus-5-20260101'), 's:1000k+'],
  [custom('v', 'global.anthropic.claude-haiku-4-5-20251001-v1:0'), 'v:200k'],
  [custom('y', 'claude-sonnet-4'), 'y'],
  [custom('o', 'claude-opus-4-20250514'), 'o:200k'],
  [custom('claude-opus-4-8', 'arn'), 'claude-opus-4-8+'],
  [custom('claude-opus-5', undefined, 'claude-sonnet-4-5'), 'claude-opus-5'],
  [custom('claude-haiku-4-5', 'claude-opus-5'), 'claude-haiku-4-5:200k'],
  [custom('claude-fable-5', 'claude-haiku-4-5'), 'claude-fable-5:200k'],
  [custom('claude-opus-4-5', 'claude-opus-4-5'), 'claude-opus-4-5:200k'],
]
for (const [model, shown] of capacities) {
  const { u1, u2 } = model.upstream_model
  test(`entries: ${model.id} sent as ${u1 ?? 'itself'} and ${u2 ?? 'itself'} is shown as ${shown}`, () => {
    assert.equal(listing([model], [one, two])[0], shown)
  })
}

test('entries: of several custom models with one id the first counts', () => {
  const entries = createEntries(
    [one],
    {
      models: [custom('dup', 'd1'), custom('DUP', 'd2'), custom('dup', 'd3')],
      auto_include_builtin_models: false,
    },
    [],
  )
  assert.equal(entries.length, 1)
  assert.deepEqual(entries[0]?.offers, [{ upstream: one, model: 'd1' }])
})

test('entries: an added model is one more row, and may correct a built-in', () => {
  const added = [
    {
      id: 'claude-opus-6',
      forms: { anthropic: 'claude-opus-6-20270101' },
      max_input_tokens: 2_000_000,
    },
    { id: 'claude-opus-5', forms: { anthropic: 'claude-opus-5-fixed' } },
  ]
  const config = { models: [], auto_include_builtin_models: true }
  const entries = createEntries([one], config, added)
  const shown = entries.flatMap(({ listing: entry }) => (entry === null ? [] : [entry.id]))
  assert.deepEqual(shown.slice(0, 3), [
    'claude-opus-6-20270101',
    'claude-opus-5-fixed',
    'claude-opus-4-6',
  ])
  const [six, five] = entries
  assert.ok(six !== undefined && five !== undefined)
  assert.deepEqual([...six.spellings], ['claude-opus-6', 'claude-opus-6-20270101'])
  assert.deepEqual(capacityOf(six, createRecogniser(knownModels(added))), {
    maxInputTokens: 2_000_000,
    supports1m: true,
  })
  assert.deepEqual(five.offers, [{ upstream: one, model: 'claude-opus-5-fixed' }])
})
