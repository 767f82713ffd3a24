/** Reads the query of an Admin API call. Of a repeated parameter the first one counts. Pure. */
import { invalid } from './answer.ts'

/** `query` with its leading `?`, or empty. */
export function readQuery(query: string): URLSearchParams {
  return new URLSearchParams(query)
}

/** A page's size; `most` is the API's, whatever is asked for. */
export function readLimit(query: URLSearchParams, fallback: number, most = 1000): number {
  const given = query.get('limit')
  if (given === null) return fallback
  const limit = /^\d{1,4}$/.test(given) ? Number(given) : 0
  return limit >= 1 && limit <= most ? limit : invalid(`limit: must be between 1 and ${most}`)
}

/** One of `values`, or undefined when the parameter is absent. */
export function readChoice<T extends string>(
  query: URLSearchParams,
  name: string,
  values: readonly T[],
): T | undefined {
  const given = query.get(name)
  if (given === null) return undefined
  const value = values.find((each) => each === given)
  return value ?? invalid(`${name}: must be one of ${values.join(', ')}`)
}

/** Text that PostgreSQL can hold; what it cannot hold is in no row. */
export function storable(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed()
}
