/**
 * What a provider's answer to an authorization request says about our redirect URI. Pure. The
 * protocol is clear in one case only: who answers at the redirect URI knows it (RFC 6749 section
 * 4.1.2.1 forbids it otherwise). For the rest, providers are recognised by their words.
 */
import { failed, ok, warned, type Finding } from './finding.ts'

export interface AuthorizationAnswer {
  readonly status: number
  /** Absolute; null without one. */
  readonly location: URL | null
  readonly text: string
  readonly redirect_uri: string
}

const check = 'IdP redirect URI'

/** Of Okta, Entra ID, Google, Keycloak, Dex, Auth0, Ping and certified libraries, on a refusal. */
const unknownUri = /redirect[_ -]?ur[il]|callback url mismatch|AADSTS50011|AADSTS900971/i
const unknownClient =
  /AADSTS700016|invalid_client|client (?:not found|is not registered)|unknown client|client_id/i
/** Some refuse with a status of success: words that no page of a sign-in has. */
const surelyUri = /redirect_uri_mismatch|callback url mismatch|AADSTS50011/i
const surelyClient = /AADSTS700016|invalid_client/i

export function judgeRedirect(answer: AuthorizationAnswer): Finding {
  const { status, location, text, redirect_uri } = answer
  if (location !== null && location.origin + location.pathname === redirect_uri) {
    return judgeError(location.searchParams.get('error'), redirect_uri)
  }
  const isRefusal = status >= 400
  const words = location === null ? text : readable(location)
  if ((isRefusal ? unknownUri : surelyUri).test(words)) {
    return failed(
      check,
      `the provider does not know ${redirect_uri}`,
      `register exactly ${redirect_uri} as a redirect URI of the client: scheme, host, port and path, without a slash at its end`,
    )
  }
  if ((isRefusal ? unknownClient : surelyClient).test(words)) {
    return failed(
      check,
      'the provider does not know the client',
      'correct oidc.client_id; it belongs to the application registered at exactly this issuer',
    )
  }
  if (isRefusal) {
    return warned(
      check,
      `the authorization endpoint answered ${status}`,
      `make sure that ${redirect_uri} is registered at the provider, then sign in once by hand`,
    )
  }
  return ok(check, `the provider went on to its sign-in for ${redirect_uri}`)
}

function judgeError(error: string | null, redirect_uri: string): Finding {
  const seen = `answers at ${redirect_uri}`
  switch (error) {
    // What `prompt=none` asks for: nobody is signed in here.
    case 'login_required':
    case 'interaction_required':
    case 'consent_required':
    case 'account_selection_required':
    case 'access_denied':
    case null:
      return ok(check, seen)
    case 'invalid_scope':
      return failed(
        check,
        `${seen} with invalid_scope`,
        'take out of oidc.scopes what the provider does not offer to this client (its discovery document lists scopes_supported)',
      )
    default:
      return warned(
        check,
        `${seen} with ${error.slice(0, 60)}`,
        'let the client use the authorization code flow with PKCE and response mode query at the provider',
      )
  }
}

/** Google packs its reason into a parameter, in base64. */
function readable({ pathname, searchParams }: URL): string {
  const packed = searchParams.get('authError')
  const unpacked = packed === null ? '' : Buffer.from(packed, 'base64').toString('latin1')
  return `${pathname} ${searchParams.get('error') ?? ''} ${searchParams.get('error_description') ?? ''} ${unpacked}`
}
