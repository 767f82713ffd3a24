/** Schema issues in our words, and what is left of a broken file for the checks between keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFindings } from '../../lib/config/findings.ts'
import { readYaml } from '../../lib/config/read-yaml.ts'
import { shapeOf } from '../../lib/config/shape.ts'
import { shapeAt, validate } from '../../lib/config/validate.ts'
import { list } from '../../lib/schema/collection.ts'
import { anyOf, choice, convert, exactly, refine, variant } from '../../lib/schema/combine.ts'
import { block, defaulted, optional, required, type Schema } from '../../lib/schema/field.ts'
import { flag, secret, text, wholeNumber } from '../../lib/schema/value.ts'

interface Item {
  readonly kind: string
  readonly size?: number | undefined
}

const item: Schema<Item> = variant<Item>('kind', [
  block<Item>({
    kind: required(exactly('small'), 'Kind.'),
    size: optional(wholeNumber(0, 5), 'Size.'),
  }),
  block<Item>({
    kind: required(exactly('large'), 'Kind.'),
    size: optional(wholeNumber(5), 'Size.'),
  }),
])

interface Sample {
  readonly name: string
  readonly items: readonly Item[]
  readonly mode: 'read' | 'write'
  readonly on: boolean
  readonly pair: { readonly a?: number | undefined; readonly b?: number | undefined }
  readonly keys: readonly string[]
}

const schema: Schema<Sample> = block<Sample>({
  name: required(text(), 'Name.'),
  items: defaulted(list(item), 'Items.', []),
  mode: defaulted(choice(['read', 'write']), 'Mode.', 'read'),
  on: defaulted(flag, 'On.', false),
  pair: defaulted(
    refine(
      block<Sample['pair']>({
        a: optional(wholeNumber(0), 'A.'),
        b: optional(wholeNumber(0), 'B.'),
      }),
      ({ a, b }) => (a === undefined) === (b === undefined),
      'a and b together',
    ),
    'Pair.',
    {},
  ),
  keys: defaulted(
    convert(
      anyOf([secret(8), list(secret(8))], { expected: 'a secret or several', secret: true }),
      (keys) => (typeof keys === 'string' ? [keys] : keys),
    ),
    'Keys.',
    [],
  ),
})

const shape = shapeOf(schema)

function run(yaml: string) {
  const findings = createFindings('f', () => ({ line: 1, column: 1 }))
  const sources = { environment: { X: 'from the environment' }, readFile: () => Buffer.from('') }
  const { root } = readYaml(yaml, sources, () => findings)
  assert.ok(root)
  const validated = validate(schema, shape, root, findings)
  const problems = findings
    .problems()
    .map(
      ({ path, expected, found, nearest }) => `${path}: ${expected} / ${found} / ${nearest.join()}`,
    )
  return { ...validated, problems, root }
}

test('validate: a sound file yields its values and defaults', () => {
  const { output, problems } = run('name: x\nkeys: 12345678')
  assert.deepEqual(problems, ['keys: a secret or several / a number / '])
  assert.equal(output, undefined)
  assert.deepEqual(run('name: x\nkeys: abcdefgh').output, {
    name: 'x',
    items: [],
    mode: 'read',
    on: false,
    pair: {},
    keys: ['abcdefgh'],
  })
})

test('validate: each wrong value is reported with what its schema expects', () => {
  const { problems } = run(
    'name: ""\nmode: wirte\non: "yes"\nitems: [{ kind: small, size: 9 }]\npair: { a: 1 }',
  )
  assert.deepEqual(problems, [
    'name: text that is not empty / empty text / ',
    'items.0.size: a whole number from 0 to 5 / the number 9 / ',
    'mode: one of read, write / the text "wirte" / write',
    'on: true or false / the text "yes" / true',
    'pair: a and b together / a block with a / ',
  ])
})

test('validate: a missing key is reported by its own name', () => {
  assert.deepEqual(run('items: [{}]').problems, [
    'name: text that is not empty / nothing / ',
    'items.0.kind: one of small, large / nothing / ',
  ])
})

test('validate: an unknown variant is reported with the nearest one', () => {
  assert.deepEqual(run('name: x\nitems: [{ kind: smal }]').problems, [
    'items.0.kind: one of small, large / the text "smal" / small',
  ])
})

test('validate: a value of another kind is reported once, not again as missing', () => {
  assert.deepEqual(run('name: [x]\nitems: 5\npair: x').problems, [
    'items: a list / the number 5 / ',
    'pair: a block of keys / the text "x" / ',
    'name: text that is not empty / a list / ',
  ])
})

test('validate: an undefined variable is one problem, not two', () => {
  assert.deepEqual(run('name: x\nmode: ${NOPE}').problems, [
    'mode: the environment variable NOPE to be set / no such variable / ',
  ])
})

test('validate: the value of a variable gets no suggestion, which would show it', () => {
  assert.deepEqual(run('name: x\nmode: ${X}').problems, [
    'mode: one of read, write / the value of ${X} (hidden) / ',
  ])
})

test('validate: what is sound of a broken file is kept, list entries at their index', () => {
  const { sound, output } = run(
    'name: ""\nmode: wirte\nitems: [{ kind: small, size: 9 }, 5, { kind: large, size: 7 }]\nzzz: 1',
  )
  assert.equal(output, undefined)
  assert.deepEqual(sound, {
    items: [{ kind: 'small' }, undefined, { kind: 'large', size: 7 }],
    on: false,
    pair: {},
    keys: [],
  })
})

test('validate: the shape at a path follows the variant that is there', () => {
  const { root } = run('name: x\nitems: [{ kind: large, size: 7 }]')
  assert.equal(shapeAt(shape, root, ['items', 0, 'size'])?.expected, 'a whole number of at least 5')
  assert.equal(shapeAt(shape, root, ['keys', 0])?.secret, true)
  assert.equal(shapeAt(shape, root, ['items', 0, 'nope']), undefined)
  assert.equal(shapeAt(shape, root, ['name', 'inside']), undefined)
})
