/**
 * A value of the file together with where it stands. The loader reads the file into places once;
 * every complaint afterwards finds its line and column here.
 */
import type { KeyPath } from '../kernel/report.ts'

export interface Place {
  /** Plain data: what YAML says, with `${…}` replaced and prototype keys left out. */
  readonly value: unknown
  /** Offset of the value in the text; of an alias, where its anchor stands. */
  readonly at: number
  /** The references a text was expanded from, such as `${TOKEN}`; empty: written as it is. */
  readonly references: readonly string[]
  readonly entries: ReadonlyMap<string, Entry>
  readonly items: readonly Place[]
  /** How many values it holds when every alias is written out, itself included. */
  readonly size: number
}

export interface Entry {
  /** Offset of the key. */
  readonly keyAt: number
  readonly place: Place
}

/** A value without a place of its own: what stands in for one that could not be read. */
export function placeOf(value: unknown, at: number): Place {
  return { value, at, references: [], entries: new Map(), items: [], size: 1 }
}

/** The value at `path`, or undefined when the file has none there. */
export function placeAt(root: Place, path: KeyPath): Place | undefined {
  let place: Place | undefined = root
  for (const step of path) place = place && child(place, step)
  return place
}

/**
 * The offset to point at for a complaint about `path`: a scalar itself, the key of a block or
 * list, and for what is missing the innermost block that should hold it.
 */
export function offsetOf(root: Place, path: KeyPath): number {
  let place = root
  let offset = root.at
  for (const step of path) {
    const next = child(place, step)
    if (next === undefined) break
    offset = isScalar(next) ? next.at : (keyOffset(place, step) ?? next.at)
    place = next
  }
  return offset
}

/** The offset of the key that ends `path`, for complaints about the key itself. */
export function offsetOfKey(root: Place, path: KeyPath): number {
  const parent = placeAt(root, path.slice(0, -1))
  const last = path.at(-1)
  const offset = parent && last !== undefined ? keyOffset(parent, last) : undefined
  return offset ?? offsetOf(root, path)
}

function keyOffset(parent: Place, step: string | number): number | undefined {
  return parent.entries.get(String(step))?.keyAt
}

function child(place: Place, step: string | number): Place | undefined {
  return typeof step === 'number' ? place.items[step] : place.entries.get(step)?.place
}

function isScalar(place: Place): boolean {
  return typeof place.value !== 'object' || place.value === null
}
