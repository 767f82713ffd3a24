/**
 * The query string of an Admin API call: repeated parameters as lists, otherwise the first one
 * counts, with the refusals of values that every call shares. Names no parameter itself.
 */
import { fail } from '../../kernel/errors.ts'

/** Most entries of a list parameter, as on the reference. */
const listMax = 100
/** Longest page of any list. */
const limitMax = 1000

/** Refuses the call; `message` is what the client reads. */
export function refuse(message: string): never {
  return fail('admin/invalid', { message })
}

export class Query {
  readonly #params: URLSearchParams

  /** Throws `admin/invalid` on text that no database takes. */
  constructor(query: string) {
    this.#params = new URLSearchParams(query)
    for (const [name, value] of this.#params) {
      if (value.includes('\0') || name.includes('\0')) {
        refuse(`${name.replaceAll('\0', '')}: must not contain a NUL character`)
      }
    }
  }

  get names(): readonly string[] {
    return [...this.#params.keys()]
  }

  first(name: string): string | undefined {
    return this.#params.get(name) ?? undefined
  }

  all(name: string): readonly string[] {
    const values = this.#params.getAll(name)
    if (values.length > listMax) refuse(`${name}: at most ${listMax} entries per request`)
    return values
  }

  /** One of a few words, or undefined when the parameter is not there. */
  word<Word extends string>(
    name: string,
    words: readonly Word[],
    message: string,
  ): Word | undefined {
    const given = this.first(name)
    if (given === undefined) return undefined
    return words.find((word) => word === given) ?? refuse(`${name}: ${message}`)
  }

  limit(fallback: number): number {
    const given = this.first('limit')
    if (given === undefined) return fallback
    const limit = given.trim() === '' ? Number.NaN : Number(given)
    const isInside = Number.isInteger(limit) && limit >= 1 && limit <= limitMax
    return isInside ? limit : refuse(`limit: must be between 1 and ${limitMax}`)
  }

  /** The parameters but those of paging, in a form that two calls share when they ask the same. */
  get identity(): string {
    const asked = [...this.#params].filter(([name]) => name !== 'limit' && name !== 'page')
    return JSON.stringify(asked.map((pair) => JSON.stringify(pair)).toSorted())
  }
}
