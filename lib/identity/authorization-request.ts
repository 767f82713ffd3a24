/**
 * The redirect that sends a browser to the provider (OpenID Connect Core 1.0 section 3.1.2.1,
 * RFC 7636). Pure; what must come back unchanged travels in the sealed `state`.
 */
import { createHash } from 'node:crypto'
import type { OidcOptions } from './options.ts'

export interface AuthorizationRequest {
  readonly redirect_uri: string
  readonly state: string
  readonly nonce: string
  /** Absent with `use_pkce: false`. */
  readonly code_verifier: string | undefined
}

/** Parameters in the documented order; the operator's own come last. */
export function buildAuthorizationUrl(
  endpoint: string,
  oidc: Pick<OidcOptions, 'client_id' | 'scopes' | 'extra_auth_params'>,
  { redirect_uri, state, nonce, code_verifier }: AuthorizationRequest,
): string {
  const challenge: [string, string][] =
    code_verifier === undefined
      ? []
      : [
          ['code_challenge', createHash('sha256').update(code_verifier).digest('base64url')],
          ['code_challenge_method', 'S256'],
        ]
  const parameters: [string, string][] = [
    ['client_id', oidc.client_id],
    ['scope', oidc.scopes.join(' ')],
    ['response_type', 'code'],
    ['redirect_uri', redirect_uri],
    ['state', state],
    ['nonce', nonce],
    ...challenge,
    ['response_mode', 'query'],
    ...Object.entries(oidc.extra_auth_params),
  ]
  const query = parameters
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&')
  return `${endpoint}${endpoint.includes('?') ? '&' : '?'}${query}`
}
