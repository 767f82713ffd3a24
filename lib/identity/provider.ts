/**
 * The identity provider, as the rest of sign-in sees it: build a redirect, turn a code or a
 * refresh token into a person. Each conversation is bounded as a whole; how it ended is a value.
 */
import type { Log } from '../kernel/log.ts'
import { buildAuthorizationUrl, type AuthorizationRequest } from './authorization-request.ts'
import { createClientAuthentication } from './client-authentication.ts'
import { createConverse, type Conversation } from './conversation.ts'
import { createIdentify, type IdentifyDeps } from './identify.ts'
import type { OidcOptions } from './options.ts'
import { quote, refuse, succeed, type Outcome } from './outcome.ts'
import { createMetadataSource, discoveryUrl, type ProviderMetadata } from './provider-metadata.ts'
import { createRotatedTokens } from './rotated-tokens.ts'
import type { Person } from './session.ts'
import { createTokenExchange } from './token-exchange.ts'
import { createTokenRevocation } from './token-revocation.ts'
import { codeForm, refreshForm } from './token-request.ts'

export interface SignedIn {
  readonly person: Person
  /** The provider's own, handed to the client verbatim. */
  readonly refresh_token: string | undefined
}

export interface CodeAnswer {
  readonly code: string
  /** RFC 9207, when the callback had one. */
  readonly iss: string | undefined
  readonly redirect_uri: string
  readonly nonce: string
  readonly code_verifier: string | undefined
}

export interface Provider {
  /** Loads the metadata; boot fails with what this throws. */
  ready(): Promise<void>
  authorizationUrl(request: AuthorizationRequest): Promise<string>
  /** Where the approval form may lead, for the page's policy. */
  formActionOrigins(): Promise<readonly string[]>
  signIn(answer: CodeAnswer, requestId: string): Promise<Outcome<SignedIn>>
  renew(refresh_token: string, requestId: string): Promise<Outcome<SignedIn>>
  /** Gives a refresh token back to a provider that takes it; without such an endpoint, nothing. */
  revoke(refresh_token: string, requestId: string): Promise<Outcome<null>>
}

export function createProvider(oidc: OidcOptions, deps: IdentifyDeps): Provider {
  const { egress, clock, log } = deps
  const url = discoveryUrl(oidc.issuer, oidc.discovery_url)
  const source = createMetadataSource(url, egress.fetch, clock, log)
  const converse = createConverse(source, clock)
  const authenticate = createClientAuthentication(oidc, clock)
  const rotated = createRotatedTokens(clock)
  const exchange = createTokenExchange(oidc, {
    authenticate,
    fetchFrom: egress.fetch,
    clock,
    rotated,
  })
  const giveBack = createTokenRevocation(authenticate, egress.fetch)
  const identify = createIdentify(oidc, deps)

  const renew = async (refresh_token: string, talk: Conversation): Promise<Outcome<SignedIn>> => {
    const scope = oidc.scope_on_refresh ? oidc.scopes.join(' ') : undefined
    const exchanged = await exchange(refreshForm(refresh_token, scope), undefined, talk)
    if (!exchanged.ok) return exchanged
    const { tokens, claims } = exchanged.value
    const person = await identify(claims, tokens.access_token, talk)
    if (!person.ok) return person
    // Providers that do not rotate send none back: the old one goes on.
    return succeed({ person: person.value, refresh_token: tokens.refresh_token ?? refresh_token })
  }

  return {
    async ready() {
      warnOfMetadata(await source.load(), oidc, log)
    },
    async authorizationUrl(request) {
      return buildAuthorizationUrl((await source.get()).authorization_endpoint, oidc, request)
    },
    async formActionOrigins() {
      const { authorization_endpoint } = await source.get()
      const urls = [authorization_endpoint, ...oidc.form_action_origins]
      return [...new Set(urls.map((each) => new URL(each).origin))]
    },
    signIn: (answer, requestId) =>
      converse(requestId, async (talk) => {
        const mixUp = checkIssuer(answer.iss, talk.metadata)
        if (mixUp !== null) return refuse('token_endpoint', mixUp)
        const form = codeForm(answer.code, answer.redirect_uri, answer.code_verifier)
        const exchanged = await exchange(form, answer.nonce, talk)
        if (!exchanged.ok) return exchanged
        const { tokens, claims } = exchanged.value
        if (claims === null) return refuse('token_endpoint', 'id_token not present in TokenSet')
        const person = await identify(claims, tokens.access_token, talk)
        if (!person.ok) return person
        return succeed({ person: person.value, refresh_token: tokens.refresh_token })
      }),
    async renew(refresh_token, requestId) {
      const renewed = await converse(requestId, (talk) => renew(refresh_token, talk))
      if (renewed.ok || renewed.failure.refused) rotated.drop(refresh_token)
      return renewed
    },
    revoke: (refresh_token, requestId) =>
      converse(requestId, (talk) => {
        // The one that the provider knows may be its successor, which no client ever got.
        const latest = rotated.find(refresh_token)?.refresh_token ?? refresh_token
        rotated.drop(refresh_token)
        return giveBack(latest, talk)
      }),
  }
}

/** RFC 9207 section 2.4: an answer that names another issuer was meant for somebody else. */
function checkIssuer(iss: string | undefined, metadata: ProviderMetadata): string | null {
  if (iss === undefined) {
    return metadata.authorization_response_iss_parameter_supported
      ? 'iss missing from the response'
      : null
  }
  return iss === metadata.issuer
    ? null
    : `iss mismatch, expected ${metadata.issuer}, got: ${quote(iss)}`
}

/** Odd, but boots: the operator may know better. */
function warnOfMetadata(metadata: ProviderMetadata, oidc: OidcOptions, log: Log): void {
  const bare = (url: string): string => url.replace(/\/+$/, '')
  if (bare(metadata.issuer) !== bare(oidc.issuer)) {
    log.warn(
      `oidc.issuer is ${oidc.issuer}, but its discovery document says ${metadata.issuer}; id_tokens must carry the latter`,
    )
  }
  const offers = metadata.scopes_supported?.includes('offline_access') ?? false
  if (offers && !oidc.scopes.includes('offline_access')) {
    log.warn(
      'oidc.scopes leaves out offline_access, which the identity provider offers: there will be no refresh tokens, and people sign in again after every session.ttl_hours',
    )
  }
}
