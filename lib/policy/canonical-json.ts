/**
 * JSON with sorted keys and a hash over it: how clients and gateway agree whether settings are
 * the same. Run once per document when the configuration is read.
 */
import { createHash } from 'node:crypto'

/** `sha256:` and the hex digest of `value` as JSON with keys sorted at every level, no spaces. */
export function checksumOf(value: unknown): string {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`
}

/** Arrays keep their order; what JSON cannot say is left out as `JSON.stringify` does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    // From entries and not by assignment: a key may be called `__proto__`.
    return Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  })
}
