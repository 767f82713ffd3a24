/**
 * Trades a code or a refresh token for verified claims: sends the form with the client's
 * authentication, reads the answer, checks the id_token.
 */
import type { Clock } from '../kernel/clock.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import type { Conversation } from './conversation.ts'
import { verifyIdToken } from './id-token.ts'
import type { JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'
import { succeed, type Outcome } from './outcome.ts'
import { createKeyLookup, type KeyLookup } from './provider-keys.ts'
import { askProvider } from './provider-request.ts'
import type { RotatedTokens } from './rotated-tokens.ts'
import { readTokens, type Tokens } from './token-request.ts'

export interface Exchanged {
  readonly tokens: Tokens
  /** Of the id_token; null when the answer had none. */
  readonly claims: JsonObject | null
}

/** `nonce` is undefined on refresh, where none was asked for. */
export type TokenExchange = (
  form: URLSearchParams,
  nonce: string | undefined,
  talk: Conversation,
) => Promise<Outcome<Exchanged>>

export interface TokenExchangeDeps {
  readonly authenticate: ClientAuthentication
  readonly fetchFrom: typeof fetch
  readonly clock: Clock
  readonly rotated: RotatedTokens
}

export function createTokenExchange(
  oidc: OidcOptions,
  { authenticate, fetchFrom, clock, rotated }: TokenExchangeDeps,
): TokenExchange {
  const keysOf = createKeysOf(fetchFrom)
  const ask = async (
    form: URLSearchParams,
    { metadata, signal }: Conversation,
  ): Promise<Outcome<Tokens>> => {
    const headers = await authenticate(form, metadata)
    const request = { method: 'POST', headers, form } as const
    return readTokens(await askProvider(fetchFrom, metadata.token_endpoint, request, signal))
  }
  return async (form, nonce, talk) => {
    const used = form.get('refresh_token')
    const known = used === null ? undefined : rotated.find(used)
    const tokens = known === undefined ? await ask(form, talk) : succeed(known)
    if (!tokens.ok) return tokens
    if (used !== null) rotated.keep(used, tokens.value)
    const { id_token } = tokens.value
    if (id_token === undefined) return succeed({ tokens: tokens.value, claims: null })
    const claims = await verifyIdToken(
      id_token,
      { ...oidc, issuer: talk.metadata.issuer, nonce },
      keysOf(talk.metadata.jwks_uri),
      clock.now(),
    )
    return claims.ok ? succeed({ tokens: tokens.value, claims: claims.value }) : claims
  }
}

/** One lookup as long as the provider's `jwks_uri` stays the same. */
function createKeysOf(fetchFrom: typeof fetch): (jwks_uri: string) => KeyLookup {
  let current: { readonly uri: string; readonly keys: KeyLookup } | undefined
  return (uri) => {
    if (current?.uri !== uri) current = { uri, keys: createKeyLookup(uri, fetchFrom) }
    return current.keys
  }
}
