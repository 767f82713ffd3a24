/**
 * The kinds of value a configuration is made of. Numbers written as text ("9390") were turned
 * into numbers before these run (lib/config/fit.ts), so that a schema says what it means.
 */
import * as v from 'valibot'
import { type Schema, value } from './field.ts'

export const flag: Schema<boolean> = value(v.boolean(), { expected: 'true or false' })

/** Text; not empty unless `charactersMin` is 0. */
export function text(charactersMin = 1, charactersMax?: number): Schema<string> {
  if (charactersMax === undefined) {
    const expected = charactersMin === 0 ? 'text' : 'text that is not empty'
    return value(v.pipe(v.string(), v.minLength(charactersMin)), { expected })
  }
  return value(v.pipe(v.string(), v.minLength(charactersMin), v.maxLength(charactersMax)), {
    expected: `text of ${charactersMin} to ${charactersMax} characters`,
  })
}

/** Text of a form; `expected` describes the form in words. */
export function form(
  fits: RegExp | ((text: string) => boolean),
  expected: string,
  shown?: 'secret',
): Schema<string> {
  const facts = shown === undefined ? { expected } : { expected, secret: true as const }
  // A pattern also goes into the editors' schema, a function cannot.
  return typeof fits === 'function'
    ? value(v.pipe(v.string(), v.check(fits)), facts)
    : value(v.pipe(v.string(), v.regex(fits)), facts)
}

/** A group as the identity provider spells it; nobody is in one without a name. */
export const groupName: Schema<string> = form(/\S/, 'the name of a group, not blank')

/** Text that no message, log or document may ever show. */
export function secret(charactersMin = 1): Schema<string> {
  const expected =
    charactersMin > 1
      ? `a secret of at least ${charactersMin} characters`
      : charactersMin === 1
        ? 'a secret that is not empty'
        : 'a secret'
  return value(v.pipe(v.string(), v.minLength(charactersMin)), { expected, secret: true })
}

export function wholeNumber(min: number, max?: number): Schema<number> {
  const number = v.pipe(v.number(), v.integer(), v.safeInteger(), v.minValue(min))
  return max === undefined
    ? value(number, { expected: `a whole number of at least ${min}` })
    : value(v.pipe(number, v.maxValue(max)), {
        expected: `a whole number from ${min} to ${max}`,
      })
}

/** A number with fractions, `min` and `max` included. */
export function numberFrom(min: number, max: number): Schema<number> {
  return value(v.pipe(v.number(), v.minValue(min), v.maxValue(max)), {
    expected: `a number from ${min} to ${max}`,
  })
}

/** A number with fractions, greater than `above`. */
export function numberAbove(above: number, max?: number): Schema<number> {
  const number = v.pipe(v.number(), v.finite(), v.gtValue(above))
  return max === undefined
    ? value(number, { expected: `a number greater than ${above}` })
    : value(v.pipe(number, v.maxValue(max)), {
        expected: `a number greater than ${above} and at most ${max}`,
      })
}
