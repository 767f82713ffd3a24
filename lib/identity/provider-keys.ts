/**
 * The provider's signing keys, fetched when first needed. An unknown `kid` fetches them again, at
 * most once per cool-down: rotation is picked up at once and strangers cannot make us hammer the
 * provider with made-up ids.
 */
import {
  compactVerify,
  createRemoteJWKSet,
  customFetch,
  errors,
  type CryptoKey,
  type CompactJWSHeaderParameters,
  type FlattenedJWSInput,
} from 'jose'
import { refuse, succeed, unavailable, type Outcome } from './outcome.ts'
import { describe } from './provider-request.ts'

/** Finds the key of a signature; jose's form. */
export type KeyLookup = (
  header: CompactJWSHeaderParameters,
  token: FlattenedJWSInput,
) => Promise<CryptoKey>

/** Shortest time between two fetches caused by an unknown `kid`. */
const cooldownMs = 30_000
/** Longest time a removed key is still trusted. */
const keysFreshMs = 600_000
/** The bound of every conversation with the provider. */
const waitMs = 10_000

export function createKeyLookup(jwks_uri: string, fetchFrom: typeof fetch): KeyLookup {
  return createRemoteJWKSet(new URL(jwks_uri), {
    cooldownDuration: cooldownMs,
    cacheMaxAge: keysFreshMs,
    timeoutDuration: waitMs,
    [customFetch]: (url, options) => fetchFrom(url, options),
  })
}

/** The payload of a token whose signature is the provider's; says nothing of its claims. */
export async function verifySignature(
  token: string,
  alg: string,
  keys: KeyLookup,
): Promise<Outcome<Uint8Array>> {
  try {
    const { payload } = await compactVerify(token, keys, { algorithms: [alg] })
    return succeed(payload)
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) {
      return refuse('token_endpoint', 'failed to validate JWT signature')
    }
    if (error instanceof errors.JWKSNoMatchingKey) return refuse('token_endpoint', noKey(token))
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      return tryEach(token, alg, error)
    }
    if (error instanceof errors.JWSInvalid || error instanceof errors.JOSENotSupported) {
      return refuse('token_endpoint', `failed to decode JWT (${describe(error)})`)
    }
    // Everything else is about fetching the keys.
    return unavailable('token_endpoint', `jwks_uri: ${describe(error)}`)
  }
}

/** A token without `kid` while the provider has several keys: any of them may have signed it. */
async function tryEach(
  token: string,
  alg: string,
  several: errors.JWKSMultipleMatchingKeys,
): Promise<Outcome<Uint8Array>> {
  for await (const key of several) {
    try {
      const { payload } = await compactVerify(token, key, { algorithms: [alg] })
      return succeed(payload)
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue
      return refuse('token_endpoint', `failed to decode JWT (${describe(error)})`)
    }
  }
  return refuse('token_endpoint', 'failed to validate JWT signature')
}

function noKey(token: string): string {
  const header = Buffer.from(token.split('.', 1).join(), 'base64url').toString()
  return `no valid key found in issuer's jwks_uri for key parameters ${header.slice(0, 200)}`
}
