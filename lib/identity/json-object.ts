/**
 * JSON of strangers (provider answers, token parts) as plain objects. The one place where parsed
 * JSON gets a type, and the narrowings that the readers of claims share.
 */

export type JsonObject = Readonly<Record<string, unknown>>

export function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? // The parse boundary: an object's own keys may be asked for, each value is checked where used.
      (value as JsonObject)
    : null
}

/** Null for anything that is not one JSON object. */
export function parseObject(text: string): JsonObject | null {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return null
  }
}

export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The strings of a list that are not empty, or of a lone string; undefined for anything else. */
export function asStrings(value: unknown): readonly string[] | undefined {
  if (typeof value !== 'string' && !Array.isArray(value)) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.filter((entry) => typeof entry === 'string').filter((entry) => entry !== '')
}
