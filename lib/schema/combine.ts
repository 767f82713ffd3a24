/** Schemas made of schemas: several forms of one value, rules about the whole, conversions. */
import * as v from 'valibot'
import { type Schema, value, type ValueFacts } from './field.ts'

/** Holds for the value as a whole, once its parts are fine. `expected` says what should hold. */
export function refine<T>(
  schema: Schema<T>,
  holds: (value: T) => boolean,
  expected: string,
): Schema<T> {
  return v.pipe(schema, v.check(holds, expected))
}

/** What the rest of the program sees instead of the value in the file. */
export function convert<T, U>(schema: Schema<T>, change: (value: T) => U): Schema<U> {
  return v.pipe(schema, v.transform(change))
}

/** The first of several forms that fits. */
export function anyOf<const T extends readonly Schema<unknown>[]>(
  forms: T,
  facts: ValueFacts,
): Schema<v.InferOutput<T[number]>> {
  return value(v.union([...forms]), facts)
}

/** One of several blocks, told apart by the text under `key`. */
export function variant<T>(key: string, blocks: readonly Schema<T>[]): Schema<T> {
  // Every block comes from `block`, whose type hides the entries that valibot asks for here.
  const options = blocks as unknown as v.VariantOptions<string>
  return v.variant(key, options) as unknown as Schema<T>
}

/** Exactly this value. */
export function exactly<const T extends string | boolean>(only: T): Schema<T> {
  return value(v.literal(only), { expected: String(only) })
}

/** One of these words. */
export function choice<const T extends string>(options: readonly T[]): Schema<T> {
  return value(v.picklist(options), { expected: `one of ${options.join(', ')}` })
}
