/**
 * Page tokens: where a list goes on, as base64url of JSON with the reference's keys, and bound to
 * the query they were made for. Not signed: a token can only ask what its bearer may ask anyway.
 */
import { createHash } from 'node:crypto'

/** Twenty-one characters of a SHA-256: nobody mixes up two queries by chance. */
const bindingLength = 21

export type TokenFields = Readonly<Record<string, unknown>>

export function encodeToken(fields: TokenFields): string {
  return Buffer.from(JSON.stringify(fields)).toString('base64url')
}

/** Null for anything that no gateway made. */
export function decodeToken(token: string): TokenFields | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    // Values reach SQL as parameters, and text with a NUL none of them may hold.
    const hasNul = Object.values(value).some((part) => typeof part === 'string' && /\0/.test(part))
    return hasNul ? null : { ...value }
  } catch {
    return null
  }
}

/** Ties a token to what was asked for. */
export function bindingOf(identity: string): string {
  return createHash('sha256').update(identity).digest('base64url').slice(0, bindingLength)
}
