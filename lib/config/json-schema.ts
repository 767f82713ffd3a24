/**
 * The configuration's shape as a JSON Schema (draft 2020-12) for editors. Development only: its
 * specification writes and checks docs/gateway.schema.json, and the product never loads this file.
 */
import type { KeyShape, Shape } from './shape.ts'

interface Json {
  readonly [member: string]: unknown
}

/** What a text may be before it is expanded: anything with a reference in it. */
const reference: Json = { type: 'string', pattern: String.raw`\$\{.+\}` }

/** Numbers may be written as text, and stand in a variable. */
const numberText: Json = { type: 'string', pattern: String.raw`^\s*[-+.\d]|\$\{.+\}` }

/** Pretty-printed, with a final newline. Functions among the rules hold at boot only. */
export function generateJsonSchema(root: Shape): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'gateway.yaml',
    ...schemaOf(root),
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

function schemaOf(shape: Shape): Json {
  const { minSize, maxSize } = shape.bounds
  switch (shape.kind) {
    case 'block':
      return blockSchema(shape.keys)
    case 'list':
      return {
        type: 'array',
        items: shape.item ? schemaOf(shape.item) : {},
        ...defined({ minItems: minSize, maxItems: maxSize }),
      }
    case 'map':
      return {
        type: 'object',
        additionalProperties: shape.item ? schemaOf(shape.item) : {},
        ...defined({ minProperties: minSize }),
      }
    case 'variant':
      return { oneOf: [...shape.variants.values()].map(schemaOf) }
    case 'forms':
      return { anyOf: shape.forms.map(schemaOf) }
    case 'number':
      return { anyOf: [numberSchema(shape), numberText] }
    case 'flag':
      return { type: 'boolean' }
    case 'text':
      return textSchema(shape)
    case 'open':
      return { type: 'object' }
  }
}

function blockSchema(keys: ReadonlyMap<string, KeyShape>): Json {
  const required = [...keys].filter(([, key]) => key.required).map(([name]) => name)
  const properties = Object.fromEntries(
    [...keys].map(([name, { shape, description, default: written }]) => [
      name,
      { ...defined({ description, default: written }), ...schemaOf(shape) },
    ]),
  )
  return { type: 'object', properties, required, additionalProperties: false }
}

function numberSchema({ bounds }: Shape): Json {
  const { integer, minimum, exclusiveMinimum, maximum } = bounds
  return {
    type: integer === true ? 'integer' : 'number',
    ...defined({ minimum, exclusiveMinimum, maximum }),
  }
}

function textSchema({ bounds, words }: Shape): Json {
  const rule = {
    type: 'string',
    ...defined({
      minLength: bounds.minSize,
      maxLength: bounds.maxSize,
      pattern: bounds.pattern,
      enum: words.length === 0 ? undefined : words,
    }),
  }
  // A rule about the text cannot judge what a reference in it will become.
  return Object.keys(rule).length === 1 ? rule : { anyOf: [rule, reference] }
}

function defined(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
