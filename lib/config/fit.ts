/**
 * Lays the file's values on the schema before it runs: numbers written as text become numbers,
 * and every unknown key of every block is reported (the schema itself would stop at the first).
 */
import type { KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import type { Complaints } from './complaint.ts'
import { describePlace } from './describe.ts'
import type { Place } from './place.ts'
import type { KeyShape, Shape } from './shape.ts'

/** All keys are listed for a lost one, unless there are more than a line takes. */
const listedMax = 24

/** The value at `place`, as the schema takes it; undefined where it is of the wrong kind. */
export function fit(shape: Shape, place: Place, path: KeyPath, complaints: Complaints): unknown {
  switch (shape.kind) {
    case 'block':
      return isBlock(place) ? fitKeys(shape.keys, place, path, complaints) : wrong()
    case 'variant':
      return isBlock(place) ? fitKeys(keysOf(shape, place), place, path, complaints) : wrong()
    case 'map':
      return isBlock(place) ? fitMap(shape, place, path, complaints) : wrong()
    case 'list':
      return Array.isArray(place.value) ? fitList(shape, place, path, complaints) : wrong()
    case 'forms':
      return fitForms(shape, place, path, complaints)
    case 'number':
      return toNumber(place.value)
    case 'open':
      return isBlock(place) ? place.value : wrong()
    case 'flag':
    case 'text':
      return place.value
  }

  function wrong(): undefined {
    complaints.error(place.at, {
      path,
      expected: shape.expected,
      found: describePlace(place, shape.secret),
    })
    return undefined
  }
}

/** `"9390"` for 9390: what environment variables give. Anything else stays for the schema. */
function toNumber(value: unknown): unknown {
  if (typeof value !== 'string' || value.trim() === '') return value
  const number = Number(value)
  return Number.isFinite(number) ? number : value
}

function isBlock({ value }: Place): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fitKeys(
  keys: ReadonlyMap<string, KeyShape>,
  place: Place,
  path: KeyPath,
  complaints: Complaints,
): Readonly<Record<string, unknown>> {
  const fitted: Record<string, unknown> = {}
  for (const [name, entry] of place.entries) {
    const key = keys.get(name)
    if (key === undefined) {
      complaints.error(entry.keyAt, unknownKey(name, [...keys.keys()], path))
      continue
    }
    const value = fit(key.shape, entry.place, [...path, name], complaints)
    if (value !== undefined) fitted[name] = value
  }
  return fitted
}

function unknownKey(
  name: string,
  known: readonly string[],
  path: KeyPath,
): Parameters<Complaints['error']>[1] {
  const close = nearest(name, known)
  const where = path.length === 0 ? 'a top-level key' : `a key of ${path.join('.')}`
  const list = close.length === 0 && known.length <= listedMax ? ` (${known.join(', ')})` : ''
  return {
    path: [...path, name],
    expected: `${where}${list}`,
    found: `unknown key ${JSON.stringify(name)}`,
    nearest: close,
  }
}

function keysOf(shape: Shape, place: Place): ReadonlyMap<string, KeyShape> {
  const { value } = place.entries.get(shape.discriminator)?.place ?? place
  const chosen = typeof value === 'string' ? shape.variants.get(value) : undefined
  // Without a known discriminator a key is wrong only when no variant has it.
  return chosen?.keys ?? mergeKeys([...shape.variants.values()])
}

function mergeKeys(shapes: readonly Shape[]): ReadonlyMap<string, KeyShape> {
  return new Map(shapes.flatMap(({ keys }) => [...keys]))
}

function fitMap(
  shape: Shape,
  place: Place,
  path: KeyPath,
  complaints: Complaints,
): Readonly<Record<string, unknown>> {
  const fitted: Record<string, unknown> = {}
  for (const [name, entry] of place.entries) {
    const value = shape.item && fit(shape.item, entry.place, [...path, name], complaints)
    if (value !== undefined) fitted[name] = value
  }
  return fitted
}

function fitList(
  shape: Shape,
  place: Place,
  path: KeyPath,
  complaints: Complaints,
): readonly unknown[] {
  return place.items.map(
    (item, index) => shape.item && fit(shape.item, item, [...path, index], complaints),
  )
}

function fitForms(shape: Shape, place: Place, path: KeyPath, complaints: Complaints): unknown {
  if (Array.isArray(place.value)) {
    const list = shape.forms.find(({ kind }) => kind === 'list')
    return list === undefined ? place.value : fitList(list, place, path, complaints)
  }
  const blocks = shape.forms.filter(({ kind }) => kind === 'block')
  if (blocks.length === 0 || !isBlock(place)) return place.value
  return fitKeys(mergeKeys(blocks), place, path, complaints)
}
