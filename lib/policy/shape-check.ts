/**
 * Compares a value of a document with its shape and reports every difference at its own place.
 * Called by the checks of settings and Desktop documents; changes nothing.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import { isObject } from './merge.ts'
import type { JsonObject } from './policy.ts'
import type { BlockShape, Shape } from './shape.ts'

/** The report, and what a likely slip of the pen in an open block means to the document. */
export interface ShapeReport extends ConfigReport {
  slip(path: KeyPath, nearest: readonly string[]): void
}

/** Reports what is wrong with `value`, which stands at `path`. */
export function checkShape(value: unknown, shape: Shape, path: KeyPath, report: ShapeReport): void {
  switch (shape.kind) {
    case 'list':
      checkList(value, shape, path, report)
      return
    case 'map':
      checkMap(value, shape, path, report)
      return
    case 'block':
      checkBlock(value, shape, path, report)
      return
    case 'tagged':
      checkTagged(value, shape, path, report)
      return
    case 'either':
      checkEither(value, shape, path, report)
      return
    case 'droppable':
      checkShape(value, shape.shape, path, asWarnings(report))
      return
    case 'anything':
    case 'nothing':
    case 'flag':
    case 'text':
    case 'number':
    case 'word':
      if (!fits(value, shape))
        report.error(path, { expected: describeShape(shape), ...near(value, shape) })
  }
}

/** In words that complete "expected …". */
function describeShape(shape: Shape): string {
  switch (shape.kind) {
    case 'anything':
      return 'anything'
    case 'nothing':
      return 'null'
    case 'flag':
      return 'true or false'
    case 'text':
    case 'number':
    case 'either':
      return shape.expected
    case 'word':
      return shape.words.length === 1
        ? `the word ${shape.words[0]}`
        : `one of ${shape.words.join(', ')}`
    case 'list':
      return 'a list'
    case 'map':
      return 'a block of names and values'
    case 'block':
    case 'tagged':
      return 'a block of keys'
    case 'droppable':
      return describeShape(shape.shape)
  }
}

/** True when the value is of the shape's JSON type, and for scalars fits it altogether. */
function fits(value: unknown, shape: Shape): boolean {
  switch (shape.kind) {
    case 'anything':
      return true
    case 'nothing':
      return value === null
    case 'flag':
      return typeof value === 'boolean'
    case 'text':
      return typeof value === 'string' && (shape.form === null || shape.form.test(value))
    case 'number':
      return typeof value === 'number' && shape.fits(value)
    case 'word':
      return typeof value === 'string' && shape.words.includes(value)
    case 'list':
      return Array.isArray(value)
    case 'map':
    case 'block':
    case 'tagged':
      return isObject(value)
    case 'either':
      return shape.forms.some((form) => fits(value, form))
    case 'droppable':
      return fits(value, shape.shape)
  }
}

function near(value: unknown, shape: Shape): { nearest?: readonly string[] } {
  return shape.kind === 'word' && typeof value === 'string'
    ? { nearest: nearest(value, shape.words) }
    : {}
}

type Of<Kind extends Shape['kind']> = Extract<Shape, { kind: Kind }>

function checkList(value: unknown, shape: Of<'list'>, path: KeyPath, report: ShapeReport): void {
  if (!Array.isArray(value) || (shape.filled && value.length === 0)) {
    report.error(path, { expected: shape.filled ? 'a list with at least one entry' : 'a list' })
    return
  }
  for (const [index, item] of value.entries())
    checkShape(item, shape.item, [...path, index], report)
}

function checkMap(value: unknown, shape: Of<'map'>, path: KeyPath, report: ShapeReport): void {
  if (!isObject(value)) {
    report.error(path, { expected: describeShape(shape) })
    return
  }
  for (const [name, item] of Object.entries(value)) {
    if (shape.names !== null && !shape.names.test(name)) {
      const expected = 'a name of letters, digits, - and _'
      report.error([...path, name], { expected, found: `the name ${JSON.stringify(name)}` })
    } else checkShape(item, shape.item, [...path, name], report)
  }
}

function checkBlock(value: unknown, shape: BlockShape, path: KeyPath, report: ShapeReport): void {
  if (!isObject(value)) {
    report.error(path, { expected: describeShape(shape) })
    return
  }
  for (const name of shape.required) {
    if (!Object.hasOwn(value, name))
      report.error(path, { expected: `the key ${name} in this block` })
  }
  if (shape.oneOf.length > 0) checkOneOf(value, shape.oneOf, path, report)
  const known = Object.keys(shape.keys)
  for (const [name, item] of Object.entries(value)) {
    const inside = Object.hasOwn(shape.keys, name) ? shape.keys[name] : undefined
    if (inside !== undefined) checkShape(item, inside, [...path, name], report)
    else checkUnknown(name, known, shape.closed, path, report)
  }
}

function checkOneOf(
  value: JsonObject,
  names: readonly string[],
  path: KeyPath,
  report: ShapeReport,
): void {
  if (names.filter((name) => Object.hasOwn(value, name)).length !== 1) {
    report.error(path, { expected: `exactly one of ${names.join(', ')} in this block` })
  }
}

/** Clients let unknown keys pass in open blocks, so only a likely slip is worth a line. */
function checkUnknown(
  name: string,
  known: readonly string[],
  closed: boolean,
  path: KeyPath,
  report: ShapeReport,
): void {
  const close = nearest(name, known)
  if (closed) {
    const found = `unknown key ${JSON.stringify(name)}`
    report.error([...path, name], { expected: 'a known key', found, nearest: close })
  } else if (close.length > 0) {
    report.slip([...path, name], close)
  }
}

function checkTagged(
  value: unknown,
  shape: Of<'tagged'>,
  path: KeyPath,
  report: ShapeReport,
): void {
  if (!isObject(value)) {
    report.error(path, { expected: describeShape(shape) })
    return
  }
  const tag = value[shape.tag]
  const block =
    typeof tag === 'string' && Object.hasOwn(shape.blocks, tag) ? shape.blocks[tag] : undefined
  if (block !== undefined) {
    checkBlock(value, block, path, report)
    return
  }
  const words = Object.keys(shape.blocks)
  const expected = `one of ${words.join(', ')}`
  if (!Object.hasOwn(value, shape.tag)) {
    report.error(path, { expected: `the key ${shape.tag} in this block: ${expected}` })
  } else {
    const close = typeof tag === 'string' ? nearest(tag, words) : []
    report.error([...path, shape.tag], { expected, nearest: close })
  }
}

/** The JSON type chooses the form, so that what is wrong inside it is named. */
function checkEither(
  value: unknown,
  shape: Of<'either'>,
  path: KeyPath,
  report: ShapeReport,
): void {
  const form = shape.forms.find((candidate) => fits(value, candidate))
  if (form === undefined) report.error(path, { expected: shape.expected })
  else checkShape(value, form, path, report)
}

/** For values that clients drop: boot goes on, and the operator learns that nothing happens. */
function asWarnings(report: ShapeReport): ShapeReport {
  return {
    error: (path, { expected, nearest: close = [] }) => {
      const hint = close.length === 0 ? '' : `; did you mean ${close.join(' or ')}?`
      report.warn(path, `clients will ignore this value: expected ${expected}${hint}`)
    },
    warn: (path, text) => report.warn(path, text),
    slip: (path, close) => report.slip(path, close),
  }
}
