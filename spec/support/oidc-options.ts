/** Options of `oidc` as the configuration's defaults make them, for specs to vary. */
import type { OidcOptions } from '../../lib/identity/options.ts'

export const oidcDefaults: OidcOptions = {
  issuer: 'https://idp.example.com',
  client_id: 'apps-gateway',
  client_secret: 'a-client-secret',
  groups_claim: 'groups',
  email_claim: 'email',
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  scope_on_refresh: false,
  extra_auth_params: {},
  userinfo_fallback: false,
  use_pkce: true,
  clock_skew_seconds: 0,
  id_token_signed_response_alg: 'RS256',
  additional_authorized_parties: [],
  form_action_origins: [],
}
