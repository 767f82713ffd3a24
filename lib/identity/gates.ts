/**
 * Who of the people the provider knows may sign in. Pure: the same gates stand at sign-in and at
 * every refresh, so that somebody who left a group is out at the latest when a session ends.
 */
import type { JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'
import type { Person } from './session.ts'

export type GateRules = Pick<OidcOptions, 'allowed_email_domains' | 'allowed_groups'>

/** `source` names the claims in the reason. Only an explicit false refuses; silence passes. */
export function checkVerified(claims: JsonObject, source: 'id_token' | 'userinfo'): string | null {
  const { email_verified } = claims
  return email_verified === false || email_verified === 'false'
    ? `${source} email is not verified`
    : null
}

/** The reason why this person may not sign in, or null. */
export function checkGates(person: Person, rules: GateRules): string | null {
  return checkDomain(person.email, rules) ?? checkGroups(person.groups ?? [], rules)
}

/** Text after the last `@`, whatever its case, exactly: a subdomain is another organisation. */
function checkDomain(
  email: string | undefined,
  { allowed_email_domains }: GateRules,
): string | null {
  if (allowed_email_domains === undefined || allowed_email_domains.length === 0) return null
  const allowed = normaliseDomains(allowed_email_domains)
  const at = email?.lastIndexOf('@') ?? -1
  if (email === undefined || at === -1) {
    return 'id_token missing email claim — oidc.allowed_email_domains needs an address (see oidc.email_claim and oidc.userinfo_fallback)'
  }
  return allowed.includes(email.slice(at + 1).toLowerCase()) ? null : 'email domain not allowed'
}

/** Lower case, without the `@` that people like to write in front. */
export function normaliseDomains(domains: readonly string[]): readonly string[] {
  return domains
    .map((domain) => domain.trim().replace(/^@/, '').toLowerCase())
    .filter((domain) => domain !== '')
}

function checkGroups(groups: readonly string[], { allowed_groups }: GateRules): string | null {
  if (allowed_groups === undefined || allowed_groups.length === 0) return null
  return groups.some((group) => allowed_groups.includes(group))
    ? null
    : 'user is not a member of an allowed group'
}
