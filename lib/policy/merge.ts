/**
 * A policy's settings laid over those of the base, key by key according to the key's class. The
 * result is what clients are served and what model access is read from; inputs stay untouched.
 */
import { isDeepStrictEqual } from 'node:util'
import type { JsonObject } from './policy.ts'

type Merge = (base: unknown, own: unknown) => unknown

/** Keys whose values add up. Every other key is replaced whole when the policy sets it. */
const classes: Readonly<Record<string, Merge>> = {
  permissions: mergePermissions,
  hooks: mergeEach(union),
  env: mergeEach(replace),
  modelOverrides: mergeEach(replace),
  skillOverrides: mergeEach(replace),
  deniedModels: union,
  disabledMcpjsonServers: union,
  deniedMcpServers: union,
  blockedMarketplaces: union,
}

/**
 * `own` over `base`: the base's keys first and in its order, then the policy's new ones. Without
 * a base the policy's document is served as it is.
 */
export function mergeSettings(
  base: JsonObject | undefined,
  own: JsonObject | undefined,
): JsonObject {
  if (base === undefined || own === undefined) return own ?? base ?? {}
  return mergeBy((key) => (Object.hasOwn(classes, key) ? classes[key] : undefined), base, own)
}

/** Top-level keys of `base` whose value in `merged` is another one, in the base's order. */
export function changedKeys(base: JsonObject, merged: JsonObject): string[] {
  return Object.keys(base).filter((key) => !isDeepStrictEqual(base[key], merged[key]))
}

/** Merges two objects with the class each key has; `undefined` means replaced. */
export function mergeBy(
  classOf: (key: string) => Merge | undefined,
  base: JsonObject,
  own: JsonObject,
): JsonObject {
  const keys = [...new Set([...Object.keys(base), ...Object.keys(own)])]
  // From entries and not by assignment: a key may be called `__proto__`.
  return Object.fromEntries(
    keys.map((key) => {
      if (!Object.hasOwn(own, key)) return [key, base[key]]
      const inherited = Object.hasOwn(base, key) ? base[key] : undefined
      return [key, (classOf(key) ?? replace)(inherited, own[key])]
    }),
  )
}

function replace(_base: unknown, own: unknown): unknown {
  return own
}

/** The base's entries, then the policy's, each value once. */
export function union(base: unknown, own: unknown): unknown {
  if (!Array.isArray(own)) return own
  const entries: unknown[] = []
  for (const entry of [...(Array.isArray(base) ? base : []), ...own]) {
    if (!entries.some((earlier) => isDeepStrictEqual(earlier, entry))) entries.push(entry)
  }
  return entries
}

function mergePermissions(base: unknown, own: unknown): unknown {
  const adding = (key: string): Merge | undefined =>
    key === 'deny' || key === 'ask' ? union : undefined
  return isObject(own) ? mergeBy(adding, isObject(base) ? base : {}, own) : own
}

function mergeEach(each: Merge): Merge {
  return (base, own) => (isObject(own) ? mergeBy(() => each, isObject(base) ? base : {}, own) : own)
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
