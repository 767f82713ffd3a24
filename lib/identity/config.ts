/**
 * `oidc`, `session`, `rate_limits` and `login_notice`: who may sign in, and how. Read by the
 * configuration loader; the checked values fit the options of this folder.
 */
import { httpUrl, isHttpUrl } from '../schema/address.ts'
import { filledList, list, map } from '../schema/collection.ts'
import { anyOf, choice, convert, refine } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required, type Schema } from '../schema/field.ts'
import { flag, form, numberAbove, secret, text, wholeNumber } from '../schema/value.ts'
import type { OidcOptions, RateWindow, SessionOptions } from './options.ts'

export interface OidcConfig extends OidcOptions {
  /** Unset: direct, with a notice when a proxy is configured. */
  readonly use_proxy?: boolean | undefined
  /** PEM certificates trusted for the provider, instead of the system's. */
  readonly ca_cert_pem?: string | undefined
}

export interface SignInConfig {
  readonly oidc: OidcConfig
  readonly session: SessionOptions
  readonly rate_limits: {
    readonly device_authorization: RateWindow
    readonly device_verify: RateWindow
  }
  /** Control characters and escape sequences are gone, line ends are spaces. */
  readonly login_notice?: string | undefined
}

const emailClaim = anyOf([text(), filledList(text())], {
  expected: 'the name of a claim, or a list of such names',
})

const email = form(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'an email address')

const googleGroups = block<NonNullable<OidcConfig['google_groups']>>({
  service_account_json_path: required(text(), 'Key file of the service account that reads groups.'),
  admin_email: required(email, 'Workspace administrator whom the service account acts for.'),
})

const clientAssertion = block<NonNullable<OidcConfig['client_assertion']>>({
  private_key_pem: required(secret(), 'RSA private key, unencrypted PEM text (not a path).'),
  certificate_pem: required(text(), 'The one certificate of that key, PEM text (not a path).'),
})

const someEntry = (entries: readonly string[]): boolean =>
  entries.length === 0 || entries.some((entry) => entry.trim() !== '')

/** An empty list admits all, so a list of blanks is more likely an unset variable than a wish. */
const admission = refine(list(text(0)), someEntry, 'an empty list, or an entry that is not blank')

const domains = convert(admission, (entries) =>
  entries
    .map((entry) => entry.trim().replace(/^@/, '').toLowerCase())
    .filter((entry) => entry !== ''),
)

const scopes = refine(
  list(text()),
  (entries) => entries.includes('openid'),
  'a list that contains openid',
)

const discoveryUrl = form(
  (text) => isHttpUrl(text) && (URL.parse(text)?.pathname.includes('/.well-known/') ?? false),
  'an http:// or https:// URL whose path contains /.well-known/',
)

const oidc = block<OidcConfig>({
  issuer: required(httpUrl, 'Issuer URL of the OpenID provider.'),
  client_id: required(text(), 'Client id registered at the provider.'),
  client_secret: optional(secret(), 'Client secret; left out only with private_key_jwt.'),
  allowed_email_domains: optional(
    domains,
    'Only people with an email address in one of these domains may sign in; empty admits all.',
  ),
  allowed_groups: optional(
    admission,
    'Only members of one of these groups may sign in, spelled as the provider does; empty admits all.',
  ),
  groups_claim: defaulted(
    text(),
    'Claim that lists the groups; a leading slash makes it a pointer.',
    'groups',
  ),
  google_groups: optional(googleGroups, 'Read the groups from Google Workspace.'),
  email_claim: defaulted(
    emailClaim,
    'Claim with the email address; of a list the first present one counts.',
    'email',
  ),
  user_id_claim: optional(text(), 'Claim that identifies a person instead of sub.'),
  scopes: defaulted(scopes, 'Scopes asked for; openid must be among them.', [
    'openid',
    'profile',
    'email',
    'offline_access',
  ]),
  scope_on_refresh: defaulted(flag, 'Repeat the scopes when a session is refreshed.', false),
  extra_auth_params: defaulted(map(text(0)), 'Parameters added to the authorization request.', {}),
  userinfo_fallback: defaulted(
    flag,
    'Ask the userinfo endpoint for a missing email or groups.',
    false,
  ),
  use_pkce: defaulted(flag, 'Protect the authorization code with PKCE.', true),
  clock_skew_seconds: defaulted(
    wholeNumber(0),
    'Tolerated clock difference to the provider, in seconds.',
    0,
  ),
  token_endpoint_auth_method: optional(
    choice(['client_secret_basic', 'client_secret_post', 'private_key_jwt']),
    'How the gateway authenticates at the token endpoint; negotiated when left out.',
  ),
  client_assertion: optional(clientAssertion, 'Key and certificate for private_key_jwt.'),
  id_token_signed_response_alg: defaulted(
    choice([
      'RS256',
      'RS384',
      'RS512',
      'PS256',
      'PS384',
      'PS512',
      'ES256',
      'ES384',
      'ES512',
      'EdDSA',
    ]),
    'Signature algorithm of the id_token.',
    'RS256',
  ),
  additional_authorized_parties: defaulted(list(text()), 'Further accepted azp values.', []),
  discovery_url: optional(
    discoveryUrl,
    'Address of the discovery document, when it is not below the issuer.',
  ),
  use_proxy: optional(flag, 'Reach the provider through the forward proxy of the environment.'),
  form_action_origins: defaulted(
    list(httpUrl),
    'Further origins the sign-in form may lead to.',
    [],
  ),
  ca_cert_pem: optional(
    text(),
    'PEM certificates to trust for the provider, instead of the system ones.',
  ),
})

const jwtSecret = convert(
  anyOf([secret(32), filledList(secret(32))], {
    expected: 'a secret of at least 32 characters, or a list of such secrets',
    secret: true,
  }),
  (secrets) => (typeof secrets === 'string' ? [secrets] : secrets),
)

const session = block<SessionOptions>({
  jwt_secret: required(
    jwtSecret,
    'Secret that signs sessions; of a list the first signs and all verify.',
  ),
  ttl_hours: defaulted(numberAbove(0), 'Lifetime of a session in hours; fractions are allowed.', 1),
})

const window = (max: number): Schema<RateWindow> =>
  block<RateWindow>({
    max: defaulted(wholeNumber(1), 'Requests of one client address in a window.', max),
    window_seconds: defaulted(wholeNumber(1), 'Length of the window in seconds.', 600),
  })

const rateLimits = block<SignInConfig['rate_limits']>({
  device_authorization: defaulted(window(30), 'Sign-ins started.', {}),
  device_verify: defaulted(window(10), 'Codes entered.', {}),
})

const loginNotice = convert(text(1, 500), withoutControls)

export const signInKeys: Keys<SignInConfig> = {
  oidc: required(oidc, 'The OpenID provider that people sign in with.'),
  session: required(session, 'The session tokens that clients hold.'),
  rate_limits: defaulted(rateLimits, 'Limits per client address on sign-in.', {}),
  login_notice: optional(loginNotice, 'Text shown to people who sign in.'),
}

/** CSI, OSC and two-character escape sequences (ECMA-48), as terminals read them. */
// oxlint-disable-next-line no-control-regex -- control characters are what is removed here
const escapes = /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[@-Z\\-_])/g

function withoutControls(notice: string): string {
  return (
    notice
      .replaceAll(escapes, '')
      .replaceAll(/\r\n|[\r\n\t\u2028\u2029]/g, ' ')
      // oxlint-disable-next-line no-control-regex -- as above
      .replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, '')
  )
}
