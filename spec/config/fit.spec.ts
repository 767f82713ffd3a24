/** Unknown keys and numbers written as text, on a schema of every kind of value. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFindings } from '../../lib/config/findings.ts'
import { fit } from '../../lib/config/fit.ts'
import { readYaml } from '../../lib/config/read-yaml.ts'
import { shapeOf } from '../../lib/config/shape.ts'
import { list, map, openBlock } from '../../lib/schema/collection.ts'
import { anyOf, exactly, variant } from '../../lib/schema/combine.ts'
import { block, optional, required, type Schema } from '../../lib/schema/field.ts'
import { flag, secret, text, wholeNumber } from '../../lib/schema/value.ts'

interface Animal {
  readonly kind: string
  readonly legs?: number | undefined
  readonly wings?: number | undefined
}

const animal: Schema<Animal> = variant<Animal>('kind', [
  block<Animal>({
    kind: required(exactly('dog'), 'Kind.'),
    legs: optional(wholeNumber(0), 'Legs.'),
    wings: optional(wholeNumber(0, 0), 'Wings.'),
  }),
])

interface Sample {
  readonly number?: number | undefined
  readonly flag?: boolean | undefined
  readonly numbers?: readonly number[] | undefined
  readonly counts?: Readonly<Record<string, number>> | undefined
  readonly open?: Readonly<Record<string, unknown>> | undefined
  readonly animals?: readonly Animal[] | undefined
  readonly either?: unknown
  readonly secret?: string | undefined
}

const sample = shapeOf(
  block<Sample>({
    number: optional(wholeNumber(0), 'A number.'),
    flag: optional(flag, 'A flag.'),
    numbers: optional(list(wholeNumber(0)), 'Numbers.'),
    counts: optional(map(wholeNumber(0)), 'Counts.'),
    open: optional(openBlock, 'Anything.'),
    animals: optional(list(animal), 'Animals.'),
    either: optional(
      anyOf(
        [text(), list(wholeNumber(0)), block<{ a: number }>({ a: required(wholeNumber(0), 'A.') })],
        {
          expected: 'either',
        },
      ),
      'Either.',
    ),
    secret: optional(secret(), 'A secret.'),
  }),
)

function fitText(yaml: string): { fitted: unknown; problems: readonly string[] } {
  const findings = createFindings('f', () => ({ line: 1, column: 1 }))
  const sources = { environment: {}, readFile: () => Buffer.from('') }
  const { root } = readYaml(yaml, sources, () => findings)
  assert.ok(root)
  const fitted = fit(sample, root, [], findings)
  const problems = findings
    .problems()
    .map(
      ({ path, expected, found, nearest }) => `${path}: ${expected} / ${found} / ${nearest.join()}`,
    )
  return { fitted, problems }
}

test('fit: numeric text becomes a number wherever a number is meant', () => {
  const { fitted, problems } = fitText(
    'number: "12"\nnumbers: ["1", 2, " 3 "]\ncounts: { a: "1e3" }\nanimals: [{ kind: dog, legs: "4" }]\neither: ["5"]',
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(fitted, {
    number: 12,
    numbers: [1, 2, 3],
    counts: { a: 1000 },
    animals: [{ kind: 'dog', legs: 4 }],
    either: [5],
  })
})

test('fit: nothing else is converted', () => {
  const yaml =
    'number: "12x"\nflag: "true"\ncounts: { a: "" }\nopen: { n: "5" }\neither: "5"\nsecret: 5'
  assert.deepEqual(fitText(yaml).fitted, {
    number: '12x',
    flag: 'true',
    counts: { a: '' },
    open: { n: '5' },
    either: '5',
    secret: 5,
  })
})

test('fit: every unknown key of every block is reported', () => {
  const { problems } = fitText(
    'numbr: 1\nzzz: 1\nanimals: [{ kind: dog, leg: 4 }, { kind: cat, legz: 4 }]\neither: { bbbb: 1 }\nopen: { anything: 1 }',
  )
  assert.deepEqual(problems, [
    'numbr: a top-level key / unknown key "numbr" / number,numbers',
    'zzz: a top-level key (number, flag, numbers, counts, open, animals, either, secret) / unknown key "zzz" / ',
    'animals.0.leg: a key of animals.0 / unknown key "leg" / legs',
    'animals.1.legz: a key of animals.1 / unknown key "legz" / legs',
    'either.bbbb: a key of either (a) / unknown key "bbbb" / ',
  ])
})

test('fit: a value of another kind is reported once and left out', () => {
  const { fitted, problems } = fitText(
    'numbers: { a: 1 }\ncounts: [1]\nopen: x\nanimals: [x, { kind: dog }]\nflag: 1',
  )
  assert.deepEqual(problems, [
    'numbers: a list / a block with a / ',
    'counts: a block of names and values / a list / ',
    'open: a block of keys / the text "x" / ',
    'animals.0: a block with kind / the text "x" / ',
  ])
  assert.deepEqual(fitted, { animals: [undefined, { kind: 'dog' }], flag: 1 })
})

test('fit: an empty block or list is one, and nothing is none', () => {
  assert.deepEqual(fitText('open: {}\nnumbers: []').fitted, { open: {}, numbers: [] })
  assert.deepEqual(fitText('open:\n').problems, ['open: a block of keys / nothing / '])
})
