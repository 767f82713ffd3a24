/** Which models a caller's policy lets pass. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCatalogue } from '../../lib/catalogue/resolve.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { createModelAccess, type ModelAccess } from '../../lib/policy/model-access.ts'
import type { JsonObject, Policy } from '../../lib/policy/policy.ts'

interface Recorded {
  readonly models: readonly string[]
  readonly custom: readonly {
    readonly id: string
    readonly upstream_model: Record<string, string>
  }[]
  readonly lists: readonly {
    readonly entries: readonly string[]
    readonly allow: string
    readonly exact: string
    readonly deny: string
  }[]
}
const fixture = join(import.meta.dirname, '../fixtures/policy/model-access.json')
const recorded: Recorded = JSON.parse(readFileSync(fixture, 'utf8'))

const upstreams = [
  { name: 'u1', provider: 'anthropic' },
  { name: 'u2', provider: 'anthropic' },
] as const
const catalogue = createCatalogue(upstreams, {
  models: recorded.custom,
  auto_include_builtin_models: true,
})
const caller = (groups: readonly string[] = [], email = 'u1@example.com'): Caller => ({
  sub: 'u1',
  email,
  name: undefined,
  groups,
  expiresAt: 0,
})
const anybody = caller()
const everyone = (cli: JsonObject): ModelAccess => createModelAccess([{ cli }], catalogue)

/** Models for which a recorded bit is set. */
const marked = (bits: string): string[] => recorded.models.filter((_, at) => bits[at] === '1')

for (const { entries, allow, exact, deny } of recorded.lists) {
  const shown = JSON.stringify(entries)
  const admitted = (access: ModelAccess): string[] =>
    recorded.models.filter((model) => access.admits(anybody, model))

  test(`model access: availableModels ${shown} admits what was recorded (F379)`, () => {
    assert.deepEqual(admitted(everyone({ availableModels: entries })), marked(allow))
  })
  test(`model access: availableModels ${shown}, matched exactly, admits what was recorded`, () => {
    const access = everyone({ availableModels: entries, availableModelsMatch: 'exact' })
    assert.deepEqual(admitted(access), marked(exact))
  })
  test(`model access: deniedModels ${shown} denies what was recorded`, () => {
    const open = new Set(admitted(everyone({ deniedModels: entries })))
    // Stricter than recorded in one point: the id an entry spells is always denied.
    const spelled = new Set(entries.map((entry) => entry.toLowerCase()))
    const expected = new Set([...marked(deny), ...spelled])
    assert.deepEqual(
      recorded.models.filter((model) => !open.has(model)),
      recorded.models.filter((model) => expected.has(model)),
    )
  })
}

test('model access: without a policy, or without a matching one, everything passes', () => {
  const limited: Policy = { match: { groups: ['eng'] }, cli: { availableModels: [] } }
  for (const policies of [[], [limited], [{}], [{ cli: {} }]]) {
    const access = createModelAccess(policies, catalogue)
    assert.equal(access.admits(anybody, 'claude-opus-5'), true)
    assert.equal(access.refusal(anybody, 'zzz'), null)
  }
})

test('model access: the texts name the model as it was sent (F151)', () => {
  const access = everyone({ availableModels: ['sonnet'], deniedModels: ['claude-sonnet-5'] })
  assert.equal(
    access.refusal(anybody, 'CLAUDE-Opus-5'),
    "model CLAUDE-Opus-5 is not in your role's availableModels allowlist",
  )
  assert.equal(
    access.refusal(anybody, 'claude-sonnet-5[1m]'),
    "model claude-sonnet-5[1m] is blocked by your role's deniedModels denylist",
  )
})

test('model access: a model both denied and not available is reported as denied', () => {
  const access = everyone({ availableModels: ['sonnet'], deniedModels: ['opus'] })
  assert.match(access.refusal(anybody, 'claude-opus-5') ?? '', /deniedModels/)
})

test('model access: a custom id is denied when any upstream would be sent a denied model', () => {
  const access = everyone({ deniedModels: ['claude-opus-4-8'] })
  assert.equal(access.admits(anybody, 'multi'), false)
  assert.equal(access.admits(anybody, 'mine-2'), true)
})

test('model access: lists of the base are inherited, availableModels replaced, denials added', () => {
  const policies: Policy[] = [
    {
      match: { groups: ['own'] },
      cli: { availableModels: ['opus'], deniedModels: ['claude-opus-5'] },
    },
    { match: { groups: ['bare'] }, cli: {} },
    { match: { groups: ['none'] } },
    { code: { availableModels: ['haiku', 'opus'], deniedModels: ['claude-opus-4-8'] } },
  ]
  const access = createModelAccess(policies, catalogue)
  const passing = (group: string): string[] =>
    ['claude-haiku-4-5', 'claude-opus-5', 'claude-opus-4-8', 'claude-opus-4-7'].filter((model) =>
      access.admits(caller([group]), model),
    )
  assert.deepEqual(passing('own'), ['claude-opus-4-7'])
  const inherited = ['claude-haiku-4-5', 'claude-opus-5', 'claude-opus-4-7']
  assert.deepEqual(passing('bare'), inherited)
  assert.deepEqual(passing('none'), inherited)
  assert.deepEqual(passing('other'), inherited)
})

test('model access: a thousand different names neither pile up nor change the verdicts', () => {
  const access = everyone({ availableModels: ['claude-opus-5'] })
  for (let at = 0; at < 1000; at++) {
    assert.equal(access.admits(anybody, `claude-opus-5-${at}`), true)
    assert.equal(access.admits(anybody, `other-${at}`), false)
  }
  assert.equal(access.admits(anybody, 'claude-opus-5'), true)
})

test('model access: a refusal quotes of a model what a terminal may show', () => {
  const access = everyone({ availableModels: ['opus'], deniedModels: ['sonnet'] })
  const tail = "is not in your role's availableModels allowlist"
  assert.equal(access.refusal(anybody, '\u001b[31mzモ\n\u202ez'), `model [31mzz ${tail}`)
  assert.equal(access.refusal(anybody, 'z'.repeat(129)), `model ${'z'.repeat(128)}... ${tail}`)
})

test('model access: a model as long as a body is refused with a short text', () => {
  const text = everyone({ availableModels: ['opus'] }).refusal(anybody, 'x'.repeat(1_000_000))
  assert.ok(text !== null && text.length < 1000)
})
