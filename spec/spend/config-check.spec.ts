/** `admin`, `enforcement`, `pricing`: values, and the rules between them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInModels } from '../../lib/catalogue/models.ts'
import { checkPrices, checkSpend, warnAboutIdlePrices } from '../../lib/spend/config-check.ts'
import { spendKeys } from '../../lib/spend/config.ts'
import { loadWith } from '../config/load.ts'

const writeKey = 'Qe7Rt2Yu9Io4Pa6Sd1Fg8Hj3Kl5Zx0Cv'
const readKey = 'Vb8Nm1Qw6Er3Ty9Ui4Op7As2Df5Gh0Jk'
const row = {
  upstream: 'anthropic',
  model: 'claude-opus-4-8',
  input: 5,
  output: 25,
  cache_read: 0.5,
  cache_write: 6.25,
}
const { upstream: _upstream, ...price } = row
const load = (changes: object) => loadWith({ admin: {}, ...changes })
const problemsOf = (changes: object): string => load(changes).problems.join('\n')

test('spend config: an empty admin block has all defaults', () => {
  assert.deepEqual(Object.keys(spendKeys), ['admin', 'enforcement', 'pricing'])
  assert.deepEqual(load({}).config().admin, {
    write_keys: [],
    read_keys: [],
    admin_groups: [],
    audit_retention_days: 365,
    spend_retention_months: 13,
    identity_retention_days: 90,
    group_limit_mode: 'min',
  })
})

test('spend config: keys are long enough and never shown', () => {
  const said = problemsOf({ admin: { write_keys: [{ id: 'a', key: `hunter2${'x'.repeat(24)}` }] } })
  assert.match(
    said,
    /^admin\.write_keys\.0\.key: expected a secret of at least 32 characters, found text of 31 /,
  )
  assert.doesNotMatch(said, /hunter2/)
})

test('spend config: a billing tag has its own form', () => {
  for (const tag of ['project', 'Proj-X_1', 'a.b:c/d=e+f@g', 'x'.repeat(64), 'my-anthropic']) {
    assert.equal(problemsOf({ admin: { billing_group_tag: tag } }), '', tag)
  }
  for (const tag of ['', 'a b', 'x'.repeat(65), 'anthropicX', 'Anthropic', 'ü']) {
    assert.match(
      problemsOf({ admin: { billing_group_tag: tag } }),
      /billing_group_tag: expected 1 to 64/,
      tag,
    )
  }
})

test('spend config: groups are not blank', () => {
  for (const group of ['', '  ']) {
    assert.match(
      problemsOf({ admin: { admin_groups: [group] } }),
      /^admin\.admin_groups\.0: expected/,
    )
  }
})

test('spend check: ids are unique across both lists', () => {
  const said = problemsOf({
    admin: { write_keys: [{ id: 'a', key: writeKey }], read_keys: [{ id: 'a', key: readKey }] },
  })
  assert.match(
    said,
    /^admin\.read_keys\.0\.id: expected an id of its own.*"a", which is the id of admin\.write_keys\.0 too$/,
  )
})

test('spend check: a key that reads cannot be one that writes', () => {
  const said = problemsOf({
    admin: { write_keys: [{ id: 'a', key: writeKey }], read_keys: [{ id: 'b', key: writeKey }] },
  })
  assert.match(
    said,
    /^admin\.read_keys\.0\.key: expected another key than that of admin\.write_keys\.0/,
  )
  assert.ok(!said.includes(writeKey))
})

test('spend check: repeated and weak keys of one kind are warned about', () => {
  const { warnings } = load({
    admin: {
      write_keys: [
        { id: 'a', key: writeKey },
        { id: 'b', key: writeKey },
        { id: 'c', key: 'w'.repeat(32) },
      ],
    },
  })
  assert.match(
    warnings[0] ?? '',
    /^admin\.write_keys\.1\.key: repeats the key of admin\.write_keys\.0/,
  )
  assert.match(warnings[1] ?? '', /^admin\.write_keys\.2\.key: is easy to guess/)
})

test('spend check: failing closed needs limits to check', () => {
  const closed = { enforcement: { fail_closed_on_error: true } }
  assert.match(
    loadWith(closed).problems.join(),
    /^enforcement\.fail_closed_on_error: expected an admin block/,
  )
  assert.equal(problemsOf(closed), '')
  assert.equal(loadWith({ enforcement: { fail_closed_on_error: false } }).problems.length, 0)
})

test('spend check: prices need somebody who uses them', () => {
  assert.match(
    loadWith({ pricing: {} }).problems.join(),
    /^pricing: expected an admin block or a policy/,
  )
  const managed = { policies: [{ cli: {} }] }
  assert.deepEqual(loadWith({ pricing: {}, managed }).problems, [])
  assert.equal(problemsOf({ pricing: {} }), '')
})

test('spend check: an admin block with a mistake is still an admin block', () => {
  const { problems } = loadWith({
    admin: 5,
    enforcement: { fail_closed_on_error: true },
    pricing: { multiplier: 2 },
  })
  assert.equal(problems.length, 1)
})

test('spend check: the factor is bounded, and a mark-up is said', () => {
  for (const multiplier of [0, -1, 10.1, 'x']) {
    assert.match(
      problemsOf({ pricing: { multiplier } }),
      /^pricing\.multiplier: expected a number greater than 0 and at most 10/,
    )
  }
  assert.deepEqual(load({ pricing: { multiplier: 0.5 } }).warnings, [])
  assert.match(load({ pricing: { multiplier: 1.2 } }).warnings.join(), /is above 1: a mark-up/)
})

test('spend check: a row is complete, positive and bounded', () => {
  for (const key of ['input', 'output', 'cache_read', 'cache_write']) {
    for (const value of [undefined, 0, -1, 10_001]) {
      const said = problemsOf({ pricing: { overrides: [{ ...row, [key]: value }] } })
      assert.match(
        said,
        new RegExp(`^pricing\\.overrides\\.0\\.${key}: expected a number greater than 0`),
      )
    }
  }
  assert.match(
    problemsOf({ pricing: { overrides: [{ ...row, web_search: 1 }] } }),
    /unknown key "web_search"/,
  )
})

test('spend check: a row names an upstream, and a model only once in any spelling', () => {
  assert.match(
    problemsOf({ pricing: { overrides: [{ ...row, upstream: 'antropic' }] } }),
    /^pricing\.overrides\.0\.upstream: .*did you mean anthropic\?$/,
  )
  const twice = { pricing: { overrides: [row, { ...row, model: 'us.anthropic.claude-opus-4-8' }] } }
  assert.match(
    problemsOf(twice),
    /^pricing\.overrides\.1\.model: expected one row for a model of an upstream/,
  )
  const own = {
    pricing: {
      overrides: [
        { ...row, model: 'mine' },
        { ...row, model: 'MINE' },
      ],
    },
  }
  assert.match(problemsOf(own), /^pricing\.overrides\.1\.model/)
})

test('spend check: a price nobody can meet is warned about', () => {
  const { warnings } = load({ pricing: { overrides: [row, { ...row, model: 'zzz' }] } })
  assert.deepEqual(warnings, [
    'pricing.overrides.1.model: is the price of a model that nobody can ask for',
  ])
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  warnAboutIdlePrices([row], new Set(['claude-opus-4-8']), builtInModels, report)
})

test('spend check: a model has one added price, in any spelling', () => {
  const said = loadWith({
    extensions: { prices: [price, { ...price, model: 'us.anthropic.claude-opus-4-8' }] },
  }).problems.join('\n')
  assert.match(
    said,
    /^extensions\.prices\.1\.model: expected one price for a model; extensions\.prices\.0 has it already/,
  )
  const different = { prices: [price, { ...price, model: 'claude-opus-4-7' }] }
  assert.deepEqual(loadWith({ extensions: different }).problems, [])
})

const unpriced = {
  models: [
    { id: 'house', upstream_model: { anthropic: 'house-1' } },
    { id: 'ours', upstream_model: { anthropic: 'my-claude-opus-4-8-deploy' } },
  ],
}
test('spend check: a model without a price is warned about, and only that one', () => {
  const { warnings } = load(unpriced)
  assert.equal(warnings.length, 1)
  assert.match(
    warnings[0] ?? '',
    /^extensions\.prices: spend meter has no exact rates for house \(anthropic: house-1\): /,
  )
})

test('spend check: a price from anywhere ends the warning', () => {
  for (const model of ['house', 'HOUSE-1']) {
    assert.deepEqual(
      load({ ...unpriced, extensions: { prices: [{ ...price, model }] } }).warnings,
      [],
    )
    const pricing = { overrides: [{ ...row, model }] }
    assert.deepEqual(load({ ...unpriced, pricing }).warnings, [])
  }
})

test('spend check: where nobody looks at costs, no price is missed', () => {
  assert.deepEqual(loadWith(unpriced).warnings, [])
})

test('spend check: it is quiet about sections that could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => true,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  const around = { upstreams: null, models: [], hasPolicies: false }
  checkSpend({}, around, facts, report)
  checkPrices([undefined, {}], [], report)
  checkSpend(
    { admin: { write_keys: [undefined, {}] }, pricing: { overrides: [undefined, {}] } },
    around,
    facts,
    report,
  )
})
