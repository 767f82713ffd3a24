/**
 * From verified claims to a person who may sign in: reads the configured claims, asks userinfo
 * where that is allowed, and puts the person through every gate. The same at sign-in and refresh.
 */
import type { Egress } from '../egress/egress.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { overflownClaim, readEmail, readGroups, readSubject } from './claims.ts'
import type { Conversation } from './conversation.ts'
import { checkGates, checkVerified, type GateRules } from './gates.ts'
import { createGoogleGroups, googleEndpoints, type GoogleEndpoints } from './google-groups.ts'
import { asString, type JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'
import { refuse, succeed, type Outcome } from './outcome.ts'
import type { Person } from './session.ts'
import { askUserinfo } from './userinfo.ts'

/** `idClaims` is null when a refresh brought no id_token: then userinfo is all there is. */
export type Identify = (
  idClaims: JsonObject | null,
  access_token: string | undefined,
  talk: Conversation,
) => Promise<Outcome<Person>>

export interface IdentifyDeps {
  readonly egress: Pick<Egress, 'fetch'>
  /** Where groups of Google Workspace are read; for `oidc.google_groups`. */
  readonly google?: GoogleSource | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Google is trusted like any public server, whatever is trusted for the provider. */
export interface GoogleSource {
  readonly egress: Pick<Egress, 'fetch'>
  /** Google's own unless a spec has others. */
  readonly endpoints?: GoogleEndpoints
}

export function createIdentify(oidc: OidcOptions, deps: IdentifyDeps): Identify {
  const warnOfOverflow = createOverflowWarning(oidc, deps.log, deps.clock)
  const readGoogle = createGoogleReader(oidc, deps)

  /** Userinfo for what the id_token lacks; null when nothing is, or when it may not be asked. */
  const fillUp = async (
    claims: JsonObject,
    access_token: string | undefined,
    talk: Conversation,
  ): Promise<Outcome<JsonObject | null>> => {
    const complete = readEmail(claims, oidc) !== undefined && readGroups(claims, oidc) !== undefined
    return complete || !oidc.userinfo_fallback
      ? succeed(null)
      : askUserinfo(deps.egress.fetch, access_token, asString(claims['sub']), talk)
  }

  return async (idClaims, access_token, talk) => {
    talk.step = idClaims === null ? 'userinfo_no_id_token' : 'claims'
    const main =
      idClaims === null
        ? await askUserinfo(deps.egress.fetch, access_token, undefined, talk)
        : succeed(idClaims)
    if (!main.ok) return main
    const extra = idClaims === null ? succeed(null) : await fillUp(idClaims, access_token, talk)
    if (!extra.ok) return extra
    logClaimNames(deps.log, talk.requestId, idClaims, idClaims === null ? main.value : extra.value)
    warnOfOverflow(main.value)

    talk.step = 'claims'
    const source = idClaims === null ? 'userinfo' : 'id_token'
    const person = readPerson(main.value, extra.value ?? {}, source, oidc)
    if (!person.ok || readGoogle === null) return throughGates(person, oidc)
    // Strangers are not looked up in anybody's directory.
    const known = throughGates(person, { allowed_email_domains: oidc.allowed_email_domains })
    if (!known.ok) return known
    const grouped = await readGoogle(known.value, talk)
    talk.step = 'claims'
    return throughGates(grouped, oidc)
  }
}

function throughGates(person: Outcome<Person>, rules: GateRules): Outcome<Person> {
  const closed = person.ok ? checkGates(person.value, rules) : null
  return closed === null ? person : refuse('claims', closed)
}

/** The person with the groups that Google knows, in place of all others; null: not configured. */
function createGoogleReader(
  { google_groups }: OidcOptions,
  { google, egress, clock }: IdentifyDeps,
): ((person: Person, talk: Conversation) => Promise<Outcome<Person>>) | null {
  if (google_groups === undefined) return null
  const lookUp = createGoogleGroups(google_groups, {
    fetchFrom: (google?.egress ?? egress).fetch,
    clock,
    endpoints: google?.endpoints ?? googleEndpoints,
  })
  return async (person, talk) => {
    const { email } = person
    if (email === undefined || email === '') {
      return refuse(
        'claims',
        'oidc.google_groups needs an address to look groups up by (see oidc.email_claim and oidc.userinfo_fallback)',
      )
    }
    const groups = await lookUp(email, talk)
    return groups.ok ? succeed({ ...person, groups: groups.value }) : groups
  }
}

/** Of `extra` only address and groups are taken, and only where `claims` has none. */
function readPerson(
  claims: JsonObject,
  extra: JsonObject,
  source: 'id_token' | 'userinfo',
  oidc: OidcOptions,
): Outcome<Person> {
  const own = readEmail(claims, oidc)
  const email = own ?? readEmail(extra, oidc)
  const unverified =
    checkVerified(claims, source) ?? (own === email ? null : checkVerified(extra, 'userinfo'))
  if (unverified !== null) return refuse('claims', unverified)
  const sub = readSubject(claims, oidc)
  if (sub === null) {
    const claim = oidc.user_id_claim ?? 'sub'
    return refuse(
      'claims',
      `oidc.user_id_claim names ${claim}, which the ${source} does not carry as a non-empty string`,
    )
  }
  const groups = readGroups(claims, oidc) ?? readGroups(extra, oidc)
  return succeed({ sub, email, name: asString(claims['name']), groups })
}

/** Names only: a value may be anybody's business. */
function logClaimNames(
  log: Log,
  requestId: string,
  idClaims: JsonObject | null,
  userinfo: JsonObject | null,
): void {
  if (!log.debugs) return
  const names = (claims: JsonObject): string => Object.keys(claims).toSorted().join(',')
  const tail = userinfo === null ? '' : `; userinfo claim names: ${names(userinfo)}`
  log.debug(`oidc id_token claim names request_id=${requestId}: ${names(idClaims ?? {})}${tail}`)
}

/** Once an hour is often enough for a setting only the provider's administrator can change. */
const warnEveryMs = 60 * 60 * 1000

function createOverflowWarning(
  oidc: OidcOptions,
  log: Log,
  clock: Clock,
): (claims: JsonObject) => void {
  let quietUntil = 0
  return (claims) => {
    const claim = overflownClaim(claims, oidc)
    if (claim === null || readGroups(claims, oidc) !== undefined || clock.now() < quietUntil) return
    quietUntil = clock.now() + warnEveryMs
    log.warn(
      `oidc: the identity provider left the claim "${claim}" out of a token because the person is in too many groups (_claim_names); such people sign in without groups. Have it send only the groups assigned to the application, or use application roles with oidc.groups_claim`,
    )
  }
}
