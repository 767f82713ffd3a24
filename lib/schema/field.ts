/**
 * How a folder's config.ts writes one key on one line: schema, description, default. The
 * description becomes the documentation and the editors' JSON Schema; `expected` completes the
 * sentence "expected …" of every complaint about the value, so it never names a value found.
 */
import * as v from 'valibot'

export type Schema<T> = v.GenericSchema<unknown, T>

/** One schema for every key of a block: a key without one, or one without a key, is no program. */
export type Keys<T> = { readonly [Key in keyof T]-?: Schema<T[Key]> }

/** What the loader and the generators read off a value's schema. */
export interface ValueFacts {
  readonly expected: string
  /** Never shown, whatever is wrong with it. */
  readonly secret?: true
}

/** A value with its own words: `expected` also stands in the documentation's type column. */
export function value<T>(schema: Schema<T>, facts: ValueFacts): Schema<T> {
  return v.pipe(schema, v.metadata({ ...facts }))
}

/** A block of known keys; any other key is a mistake. */
export function block<T>(keys: Keys<T>): Schema<T> {
  // A mapped type over a type parameter is opaque to the compiler: this is the one place that
  // says that an object with a valid value for every key of T is a T.
  return v.strictObject(keys) as unknown as Schema<T>
}

/** A key that must be there. */
export function required<T>(schema: Schema<T>, description: string): Schema<T> {
  return v.pipe(schema, v.description(description))
}

/** A key that may be left out and then has no value. */
export function optional<T>(schema: Schema<T>, description: string): Schema<T | undefined> {
  return v.optional(v.pipe(schema, v.description(description)))
}

/** A key that may be left out and then is read as if `written` stood in the file. */
export function defaulted<T>(schema: Schema<T>, description: string, written: {}): Schema<T> {
  // Valibot runs the default through the schema, so the output is a T whatever was written.
  return v.optional(v.pipe(schema, v.description(description)), written) as Schema<T>
}
