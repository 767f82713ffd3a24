/**
 * From the provider's claims to a person: which claim is the address, which the groups, which the
 * id. Pure; what is missing is undefined, and `gates.ts` decides whether that matters.
 */
import { asObject, asString, asStrings, type JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'

export type ClaimRules = Pick<OidcOptions, 'email_claim' | 'groups_claim' | 'user_id_claim'>

/** A flat key, or an RFC 6901 pointer when it starts with a slash. Undefined when not there. */
export function lookUp(claims: JsonObject, name: string): unknown {
  if (!name.startsWith('/')) return own(claims, name)
  let value: unknown = claims
  for (const part of name.slice(1).split('/')) {
    value = own(value, part.replaceAll('~1', '/').replaceAll('~0', '~'))
  }
  return value
}

function own(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined
  const object = asObject(value)
  return object !== null && Object.hasOwn(object, key) ? object[key] : undefined
}

/** The first claim of the list that is present; when that is no string there is no address. */
export function readEmail(claims: JsonObject, { email_claim }: ClaimRules): string | undefined {
  const names = typeof email_claim === 'string' ? [email_claim] : email_claim
  for (const name of names) {
    const value = lookUp(claims, name)
    if (value !== undefined && value !== null) return asString(value)
  }
  return undefined
}

export function readGroups(
  claims: JsonObject,
  { groups_claim }: ClaimRules,
): readonly string[] | undefined {
  return asStrings(lookUp(claims, groups_claim))
}

/** The principal; null when `user_id_claim` names one that is not there. */
export function readSubject(claims: JsonObject, { user_id_claim }: ClaimRules): string | null {
  const value = user_id_claim === undefined ? claims['sub'] : lookUp(claims, user_id_claim)
  return typeof value === 'string' && value !== '' ? value : null
}

/**
 * The claim that Entra ID left out because the person is in more groups than fit into a token
 * ("overage"): it names the claim in `_claim_names`, or says `hasgroups`. Null when all is there.
 */
export function overflownClaim(claims: JsonObject, { groups_claim }: ClaimRules): string | null {
  const elsewhere = asObject(claims['_claim_names'])
  for (const name of [groups_claim, 'groups']) {
    if (elsewhere !== null && Object.hasOwn(elsewhere, name)) return name
  }
  return claims['hasgroups'] === true || claims['hasgroups'] === 'true' ? 'groups' : null
}
