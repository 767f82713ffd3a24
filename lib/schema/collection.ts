/** Lists and maps of values. Keys of maps are data; keys of blocks are checked by their schema. */
import * as v from 'valibot'
import { type Schema, value } from './field.ts'

/** A list, possibly empty. */
export function list<T>(item: Schema<T>): Schema<readonly T[]> {
  return value(v.array(item), { expected: 'a list' })
}

/** A list with at least one entry. */
export function filledList<T>(item: Schema<T>): Schema<readonly T[]> {
  return value(v.pipe(v.array(item), v.minLength(1)), {
    expected: 'a list with at least one entry',
  })
}

/** A map from names to values. */
export function map<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return value(v.record(v.string(), item), { expected: 'a block of names and values' })
}

/** A block whose inside is checked elsewhere, or by nobody: any names, any values. */
export const openBlock: Schema<Readonly<Record<string, unknown>>> = value(
  v.record(v.string(), v.unknown()),
  { expected: 'a block of keys' },
)

/** A map with at least one name. */
export function filledMap<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return value(v.pipe(v.record(v.string(), item), v.minEntries(1)), {
    expected: 'a block with at least one name and value',
  })
}
