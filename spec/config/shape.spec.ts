/** Schemas as plain data, on small schemas and on the whole configuration. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { isSecretName } from '../../lib/config/describe.ts'
import { configSchema } from '../../lib/config/sections.ts'
import { type KeyShape, type Shape, shapeOf } from '../../lib/config/shape.ts'
import { filledList, map, openBlock } from '../../lib/schema/collection.ts'
import { anyOf, choice, convert, exactly, refine, variant } from '../../lib/schema/combine.ts'
import { block, defaulted, optional, required } from '../../lib/schema/field.ts'
import { flag, form, numberAbove, secret, text, wholeNumber } from '../../lib/schema/value.ts'

test('shape: a block tells its keys, what they need and what stands for them', () => {
  const shape = shapeOf(
    block<{ a: string; b: number | undefined; c: boolean }>({
      a: required(text(), 'The a.'),
      b: optional(wholeNumber(1, 5), 'The b.'),
      c: defaulted(flag, 'The c.', true),
    }),
  )
  assert.equal(shape.kind, 'block')
  assert.equal(shape.expected, 'a block with a')
  const facts = [...shape.keys].map(([name, key]) => [
    name,
    key.required,
    key.default,
    key.description,
    key.shape.kind,
    key.shape.expected,
  ])
  assert.deepEqual(facts, [
    ['a', true, undefined, 'The a.', 'text', 'text that is not empty'],
    ['b', false, undefined, 'The b.', 'number', 'a whole number from 1 to 5'],
    ['c', false, true, 'The c.', 'flag', 'true or false'],
  ])
})

test('shape: rules and conversions around a value do not hide what it is', () => {
  const shape = shapeOf(
    convert(
      refine(filledList(text(1, 9)), () => true, 'something'),
      (entries) => entries.length,
    ),
  )
  assert.equal(shape.kind, 'list')
  assert.equal(shape.bounds.minSize, 1)
  assert.deepEqual(shape.item?.bounds, { minSize: 1, maxSize: 9 })
})

test('shape: bounds are those of the rules', () => {
  assert.deepEqual(shapeOf(numberAbove(0, 10)).bounds, { exclusiveMinimum: 0, maximum: 10 })
  assert.deepEqual(shapeOf(form(/^a$/, 'an a')).bounds, { pattern: '^a$' })
  const whole = shapeOf(wholeNumber(0, 9)).bounds
  assert.deepEqual([whole.integer, whole.minimum, whole.maximum], [true, 0, 9])
})

test('shape: words, forms, maps and open blocks', () => {
  assert.deepEqual(shapeOf(choice(['a', 'b'])).words, ['a', 'b'])
  assert.deepEqual(shapeOf(exactly('a')).words, ['a'])
  assert.equal(shapeOf(exactly(true)).kind, 'flag')
  assert.equal(shapeOf(map(flag)).item?.kind, 'flag')
  assert.equal(shapeOf(openBlock).kind, 'open')
  const either = shapeOf(anyOf([secret(), flag], { expected: 'either', secret: true }))
  assert.deepEqual(
    [either.kind, either.secret, either.forms.map(({ kind }) => kind)],
    ['forms', true, ['text', 'flag']],
  )
})

test('shape: a variant knows its blocks by the word that tells them apart', () => {
  const shape = shapeOf(
    variant<{ kind: 'a' | 'b' }>('kind', [
      block<{ kind: 'a' | 'b' }>({ kind: required(exactly('a'), 'Kind.') }),
      block<{ kind: 'a' | 'b' }>({ kind: required(exactly('b'), 'Kind.') }),
    ]),
  )
  assert.deepEqual(
    [shape.kind, shape.discriminator, [...shape.variants.keys()]],
    ['variant', 'kind', ['a', 'b']],
  )
})

test('shape: a kind of schema nobody thought of is a bug, not a silence', () => {
  assert.throws(() => shapeOf(v.tuple([v.string()])), /type tuple needs a row/)
})

test('shape: every value of the configuration says what is expected', () => {
  for (const [path, { shape }] of allKeys(shapeOf(configSchema))) {
    assert.notEqual(shape.expected, 'a value', path)
    assert.doesNotMatch(shape.expected, /^[A-Z]|\.$/, path)
  }
})

/** Named like a secret without being one. */
const harmless: ReadonlySet<string> = new Set([
  'oidc.token_endpoint_auth_method',
  'upstreams.auth.identity_token_file',
  'oidc.id_token_signed_response_alg',
  'load_test_mode.reply_tokens',
  'extensions.models.max_input_tokens',
])

test('shape: every key that is named like a secret is one', () => {
  const suspicious = [...allKeys(shapeOf(configSchema))].filter(
    ([path, { shape }]) => isSecretName(path.split('.').at(-1) ?? '') && shape.kind !== 'block',
  )
  const shown = suspicious.filter(([, { shape }]) => !shape.secret).map(([path]) => path)
  assert.deepEqual(
    shown.filter((path) => !harmless.has(path)),
    [],
  )
  assert.deepEqual(
    [...harmless].filter((path) => !shown.includes(path)),
    [],
    'no longer an exception',
  )
})

function* allKeys(shape: Shape, path = ''): Generator<readonly [string, KeyShape]> {
  for (const [name, key] of shape.keys) {
    yield [`${path}${name}`, key]
    yield* allKeys(key.shape, `${path}${name}.`)
  }
  for (const inner of [...shape.variants.values(), ...shape.forms]) yield* allKeys(inner, path)
  if (shape.item) yield* allKeys(shape.item, path)
}
