/**
 * A schema as plain data: which keys a block has, what a value is called, what its default is.
 * Complaints, documentation and the editors' schema all read it, so that they cannot disagree
 * with the validation. The one file that looks inside a schema object.
 */
import type { Schema } from '../schema/field.ts'

export interface Shape {
  readonly kind:
    | 'block'
    | 'list'
    | 'map'
    | 'variant'
    | 'forms'
    | 'number'
    | 'flag'
    | 'text'
    | 'open'
  /** Completes the sentence "expected …". */
  readonly expected: string
  readonly secret: boolean
  /** Of a block. */
  readonly keys: ReadonlyMap<string, KeyShape>
  /** Of a list or map. */
  readonly item: Shape | null
  /** Of a variant: the key that tells, and its blocks by that key's value. */
  readonly discriminator: string
  readonly variants: ReadonlyMap<string, Shape>
  /** Of a value that may be written in several ways. */
  readonly forms: readonly Shape[]
  /** The words a text may be; empty: any. */
  readonly words: readonly string[]
  readonly bounds: Bounds
}

/** Limits that are plain data, under their names in JSON Schema. */
export interface Bounds {
  readonly integer?: true
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  /** Of texts, lists and maps alike. */
  readonly minSize?: number
  readonly maxSize?: number
  readonly pattern?: string
}

export interface KeyShape {
  readonly shape: Shape
  readonly required: boolean
  readonly description: string
  /** What stands for a missing key; undefined: nothing does. */
  readonly default: unknown
}

/** A schema object of valibot, of which only these parts are read. */
interface Inside {
  readonly type: string
  readonly pipe?: readonly Inside[]
  readonly entries?: Readonly<Record<string, Inside>>
  readonly item?: Inside
  readonly value?: Inside
  readonly key?: unknown
  readonly wrapped?: Inside
  readonly default?: unknown
  readonly options?: readonly unknown[]
  readonly literal?: unknown
  readonly metadata?: { readonly expected?: string; readonly secret?: boolean }
  readonly description?: string
  readonly requirement?: unknown
}

export function shapeOf<T>(schema: Schema<T>): Shape {
  // The public type of a schema hides its parts; every kind used in lib/schema is known here,
  // and the specification of this file walks the whole configuration with it.
  return inspect(schema as unknown as Inside)
}

function inspect(inside: Inside): Shape {
  const base = { ...blank, ...wordsOf(inside), bounds: boundsOf(inside) }
  switch (inside.type) {
    case 'strict_object':
      return blockShape(inside, base)
    case 'array':
      return { ...base, kind: 'list', item: inside.item ? inspect(inside.item) : null }
    case 'record': {
      const item = inside.value?.type === 'unknown' ? null : inside.value
      return item ? { ...base, kind: 'map', item: inspect(item) } : { ...base, kind: 'open' }
    }
    case 'variant':
      return variantShape(inside, base)
    case 'union':
      return { ...base, kind: 'forms', forms: partsOf(inside).map(inspect) }
    case 'picklist':
      return { ...base, kind: 'text', words: (inside.options ?? []).map(String) }
    case 'literal':
      return { ...base, ...literalShape(inside.literal) }
    case 'number':
      return { ...base, kind: 'number' }
    case 'boolean':
      return { ...base, kind: 'flag' }
    case 'string':
      return { ...base, kind: 'text' }
    default:
      throw new Error(`a schema of type ${inside.type} needs a row in lib/config/shape.ts`)
  }
}

const blank: Shape = {
  kind: 'open',
  expected: 'a value',
  secret: false,
  keys: new Map(),
  item: null,
  discriminator: '',
  variants: new Map(),
  forms: [],
  words: [],
  bounds: {},
}

function literalShape(literal: unknown): Pick<Shape, 'kind' | 'words'> {
  return typeof literal === 'string'
    ? { kind: 'text', words: [literal] }
    : { kind: 'flag', words: [] }
}

function blockShape(inside: Inside, base: Shape): Shape {
  const keys = new Map<string, KeyShape>()
  for (const [name, entry] of Object.entries(inside.entries ?? {})) {
    const optional = entry.type === 'optional' && entry.wrapped !== undefined
    const schema = optional ? (entry.wrapped ?? entry) : entry
    keys.set(name, {
      shape: inspect(schema),
      required: !optional,
      description: wordsOf(schema).description,
      default: optional ? entry.default : undefined,
    })
  }
  const needed = [...keys].filter(([, { required }]) => required).map(([name]) => name)
  const expected = needed.length === 0 ? 'a block of keys' : `a block with ${needed.join(', ')}`
  return { ...base, kind: 'block', keys, expected }
}

function variantShape(inside: Inside, base: Shape): Shape {
  const discriminator = String(inside.key)
  const variants = new Map<string, Shape>()
  for (const option of partsOf(inside)) {
    const shape = inspect(option)
    const [word] = shape.keys.get(discriminator)?.shape.words ?? []
    if (word !== undefined) variants.set(word, shape)
  }
  const expected = `a block with ${discriminator}`
  return { ...base, kind: 'variant', discriminator, variants, expected }
}

function partsOf(inside: Inside): readonly Inside[] {
  // The options of unions and variants are schemas; those of picklists never come here.
  return (inside.options ?? []) as readonly Inside[]
}

interface Words {
  readonly expected: string
  readonly secret: boolean
  readonly description: string
}

/** Metadata and description stand in pipes, which may be nested; the outermost counts. */
function wordsOf(inside: Inside): Words {
  let words: Words = { expected: blank.expected, secret: false, description: '' }
  for (const [index, part] of (inside.pipe ?? []).entries()) {
    if (index === 0) words = wordsOf(part)
    if (part.type === 'metadata') words = { ...words, ...part.metadata }
    if (part.type === 'description') words = { ...words, description: part.description ?? '' }
  }
  return words
}

function boundsOf(inside: Inside): Bounds {
  let bounds: Bounds = {}
  for (const [index, part] of (inside.pipe ?? []).entries()) {
    bounds = { ...bounds, ...(index === 0 ? boundsOf(part) : boundOf(part)) }
  }
  return bounds
}

function boundOf({ type, requirement }: Inside): Bounds {
  if (type === 'integer') return { integer: true }
  if (type === 'regex' && requirement instanceof RegExp) return { pattern: requirement.source }
  if (typeof requirement !== 'number') return {}
  switch (type) {
    case 'min_value':
      return { minimum: requirement }
    case 'gt_value':
      return { exclusiveMinimum: requirement }
    case 'max_value':
      return { maximum: requirement }
    case 'min_length':
    case 'min_entries':
      return { minSize: requirement }
    case 'max_length':
      return { maxSize: requirement }
    default:
      return {}
  }
}
