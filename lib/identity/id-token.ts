/**
 * The rules an id_token must meet (OpenID Connect Core 1.0 section 3.1.3.7, tightened where the
 * protocol says so). Pure but for the key lookup; reason texts are the ones operators grep for.
 */
import { asString, parseObject, type JsonObject } from './json-object.ts'
import { quote, refuse, succeed, type Outcome } from './outcome.ts'
import { verifySignature, type KeyLookup } from './provider-keys.ts'

export interface IdTokenRules {
  readonly issuer: string
  readonly client_id: string
  readonly additional_authorized_parties: readonly string[]
  readonly clock_skew_seconds: number
  readonly id_token_signed_response_alg: string
  /** Absent on refresh, where no authorization request carried one. */
  readonly nonce?: string | undefined
}

/** The token's claims, once its signature and every rule hold. */
export async function verifyIdToken(
  token: string,
  rules: IdTokenRules,
  keys: KeyLookup,
  nowMs: number,
): Promise<Outcome<JsonObject>> {
  const header = parseObject(Buffer.from(token.split('.', 1).join(), 'base64url').toString())
  if (header === null || token.split('.').length !== 3) {
    return refuse('token_endpoint', 'failed to decode JWT (JWT is malformed)')
  }
  const alg = rules.id_token_signed_response_alg
  if (header['alg'] !== alg) {
    const found = show(header['alg'])
    return refuse('token_endpoint', `unexpected JWT alg received, expected ${alg}, got: ${found}`)
  }
  const signed = await verifySignature(token, alg, keys)
  if (!signed.ok) return signed
  const claims = parseObject(new TextDecoder().decode(signed.value))
  if (claims === null) return refuse('token_endpoint', 'failed to decode JWT (no JSON object)')
  const problem = checkClaims(claims, rules, Math.floor(nowMs / 1000))
  return problem === null ? succeed(claims) : refuse('token_endpoint', problem)
}

/** The first rule that does not hold, or null. `iat` in the future is no problem of ours. */
export function checkClaims(claims: JsonObject, rules: IdTokenRules, now: number): string | null {
  const skew = rules.clock_skew_seconds
  const { iss, exp, iat, nbf, sub, nonce } = claims
  if (iss !== rules.issuer) {
    return `unexpected iss value, expected ${rules.issuer}, got: ${show(iss)}`
  }
  if (asString(sub) === undefined || sub === '') return 'missing required JWT property sub'
  if (typeof exp !== 'number') return 'missing required JWT property exp'
  if (typeof iat !== 'number') return 'missing required JWT property iat'
  const party = checkAudience(claims, rules)
  if (party !== null) return party
  if (exp <= now - skew) return `JWT expired, now ${now}, exp ${exp}`
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf > now + skew)) {
    return `JWT not active yet, now ${now}, nbf ${show(nbf)}`
  }
  if (rules.nonce !== undefined && nonce !== rules.nonce) {
    return `nonce mismatch, expected ${rules.nonce}, got: ${show(nonce)}`
  }
  return null
}

/** `aud` names us; with several audiences `azp` says which party the token was made for. */
function checkAudience(
  { aud, azp }: JsonObject,
  { client_id, additional_authorized_parties }: IdTokenRules,
): string | null {
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(client_id)) {
    return `aud mismatch, expected ${client_id}, got: ${show(aud)}`
  }
  if (azp === undefined) {
    return audiences.length > 1 ? 'missing required JWT property azp' : null
  }
  const allowed = [client_id, ...additional_authorized_parties]
  return typeof azp === 'string' && allowed.includes(azp) ? null : `azp mismatch, got: ${show(azp)}`
}

/** A claim's value for the log. */
function show(value: unknown): string {
  return quote(typeof value === 'string' ? value : String(JSON.stringify(value)), 100)
}
