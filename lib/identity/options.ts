/**
 * What sign-in needs of the configuration, with the names of the YAML keys. The configuration's
 * own slices fit these shapes; nothing here reads a file or the environment.
 */

export type TokenEndpointAuthMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'private_key_jwt'

export interface OidcOptions {
  readonly issuer: string
  readonly client_id: string
  /** Absent only with `private_key_jwt`. */
  readonly client_secret?: string | undefined
  readonly allowed_email_domains?: readonly string[] | undefined
  readonly allowed_groups?: readonly string[] | undefined
  /** Flat key, or RFC 6901 pointer when it starts with a slash; so are the two below. */
  readonly groups_claim: string
  readonly email_claim: string | readonly string[]
  readonly user_id_claim?: string | undefined
  readonly google_groups?:
    | { readonly service_account_json_path: string; readonly admin_email: string }
    | undefined
  readonly scopes: readonly string[]
  readonly scope_on_refresh: boolean
  readonly extra_auth_params: Readonly<Record<string, string>>
  readonly userinfo_fallback: boolean
  readonly use_pkce: boolean
  readonly clock_skew_seconds: number
  /** Negotiated from the provider's metadata when absent. */
  readonly token_endpoint_auth_method?: TokenEndpointAuthMethod | undefined
  readonly client_assertion?:
    | { readonly private_key_pem: string; readonly certificate_pem: string }
    | undefined
  readonly id_token_signed_response_alg: string
  readonly additional_authorized_parties: readonly string[]
  readonly discovery_url?: string | undefined
  readonly form_action_origins: readonly string[]
}

export interface SessionOptions {
  /** Index 0 signs, all verify. Never empty. */
  readonly jwt_secret: readonly string[]
  readonly ttl_hours: number
}

export interface RateWindow {
  readonly max: number
  readonly window_seconds: number
}

export interface IdentityOptions {
  /** `listen.public_url` without trailing slash; absent only on a loopback bind. */
  readonly public_url?: string | undefined
  /** The listener itself speaks TLS: decides the scheme when there is no `public_url`. */
  readonly tls: boolean
  readonly oidc: OidcOptions
  readonly session: SessionOptions
  readonly rate_limits: {
    readonly device_authorization: RateWindow
    readonly device_verify: RateWindow
  }
  /** Already sanitised (control characters and escape sequences removed). */
  readonly login_notice?: string | undefined
  /** `admin.billing_group_tag`; asked for even when there is none, so that nobody forgets it. */
  readonly billing_group_tag: string | undefined
}
