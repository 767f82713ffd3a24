/**
 * The identity provider as sign-in will meet it, up to where a person would be needed: discovery,
 * keys, the redirect URI, the gateway's own credentials, the clock. It signs nobody in: the
 * authorization request asks for no page (`prompt=none`), and the code it redeems is made up.
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { describeFailure } from '../egress/describe-failure.ts'
import { buildAuthorizationUrl } from '../identity/authorization-request.ts'
import { createClientAuthentication } from '../identity/client-authentication.ts'
import type { OidcOptions } from '../identity/options.ts'
import {
  createMetadataSource,
  discoveryUrl,
  type ProviderMetadata,
} from '../identity/provider-metadata.ts'
import { askProvider } from '../identity/provider-request.ts'
import { codeForm } from '../identity/token-request.ts'
import { expiryWarning } from '../schema/certificate.ts'
import { failed, ok, orFailed, warned, type Finding } from './finding.ts'
import { bounded, createMemoryLog, type DoctorParts } from './parts.ts'
import { checkGoogleGroups } from './google-groups.ts'
import { judgeRedirect } from './redirect-uri.ts'
import { judgeSkew } from './skew.ts'

/** As sign-in's own conversations with the provider. */
const exchangeMs = 10_000

export async function checkIdentityProvider(parts: DoctorParts): Promise<readonly Finding[]> {
  const { config, clock, egresses } = parts
  const { oidc } = config
  const own = checkAssertion(parts)
  let date: string | null = null
  const fetchFrom: typeof fetch = async (input, init) => {
    const response = await egresses.provider.fetch(input, init)
    date = response.headers.get('date')
    return response
  }
  const url = discoveryUrl(oidc.issuer, oidc.discovery_url)
  const { log } = createMemoryLog()
  let metadata: ProviderMetadata
  try {
    metadata = await createMetadataSource(url, fetchFrom, clock, log).load()
  } catch (error) {
    const fix = `open ${url} from this machine; correct oidc.issuer, give oidc.ca_cert_pem for a private authority, or set oidc.use_proxy when it is behind the forward proxy`
    return [...own, failed('IdP discovery', describeFailure(error), fix)]
  }
  const [google, ...found] = await Promise.all([
    checkGoogleGroups(parts, metadata),
    checkKeys(parts, metadata),
    checkRedirect(parts, metadata),
    orFailed(
      'IdP client credentials',
      `let this machine reach ${metadata.token_endpoint}`,
      checkClient(parts, metadata),
    ),
  ])
  return [
    ...own,
    judgeIssuer(metadata, oidc),
    ...found,
    ...google,
    judgeSkew('clock beside the IdP', date === null ? null : Date.parse(date), clock.now(), {
      // Ids are refused beyond it; half of it is what a busy moment may use up.
      warnMs: (oidc.clock_skew_seconds * 1000) / 2,
      failMs: oidc.clock_skew_seconds * 1000,
      key: 'oidc.clock_skew_seconds',
    }),
  ]
}

function judgeIssuer(metadata: ProviderMetadata, oidc: OidcOptions): Finding {
  const bare = (text: string): string => text.replace(/\/+$/, '')
  if (bare(metadata.issuer) === bare(oidc.issuer)) return ok('IdP discovery', metadata.issuer)
  return warned(
    'IdP discovery',
    `its document says issuer ${metadata.issuer}`,
    'set oidc.issuer to exactly that: id_tokens carry it',
  )
}

function checkKeys(parts: DoctorParts, { jwks_uri }: ProviderMetadata): Promise<Finding> {
  const fix = `open ${jwks_uri} from this machine; without it no id_token can be verified`
  return orFailed('IdP keys', fix, askForKeys(parts, jwks_uri, fix))
}

async function askForKeys(
  { egresses, clock }: DoctorParts,
  jwks_uri: string,
  fix: string,
): Promise<Finding> {
  const check = 'IdP keys'
  const answer = await bounded(clock, 'fetching the keys', exchangeMs, (signal) =>
    askProvider(egresses.provider.fetch, jwks_uri, { method: 'GET' }, signal),
  )
  if (!answer.ok) return failed(check, answer.reason, fix)
  const keys = answer.json?.['keys']
  if (answer.status !== 200 || !Array.isArray(keys)) {
    return failed(check, `${answer.status} and no key set at ${jwks_uri}`, fix)
  }
  if (keys.length === 0) return failed(check, `the key set at ${jwks_uri} is empty`, fix)
  return ok(check, `${keys.length} key(s) at ${jwks_uri}`)
}

/** Providers check the redirect URI before anything else, and answer at it only when it is known. */
async function checkRedirect(
  { config, egresses, clock }: DoctorParts,
  { authorization_endpoint }: ProviderMetadata,
): Promise<Finding> {
  const { listen, oidc } = config
  const redirect_uri = redirectUriOf(listen)
  const random = (): string => randomBytes(32).toString('base64url')
  const url = buildAuthorizationUrl(
    authorization_endpoint,
    { ...oidc, extra_auth_params: { ...oidc.extra_auth_params, prompt: 'none' } },
    {
      redirect_uri,
      state: random(),
      nonce: random(),
      code_verifier: oidc.use_pkce ? random() : undefined,
    },
  )
  try {
    const answer = await bounded(clock, 'asking the authorization endpoint', exchangeMs, (signal) =>
      egresses.provider.fetch(url, { redirect: 'manual', signal }),
    )
    const location = answer.headers.get('location')
    return judgeRedirect({
      status: answer.status,
      location: location === null ? null : URL.parse(location, url),
      text: await answer.text(),
      redirect_uri,
    })
  } catch (error) {
    const fix = `open ${authorization_endpoint} in a browser: people are sent there to sign in`
    return failed('IdP redirect URI', describeFailure(error), fix)
  }
}

function redirectUriOf({ public_url, port, tls }: DoctorParts['config']['listen']): string {
  const origin = public_url ?? `${tls === undefined ? 'http' : 'https'}://localhost:${port}`
  return `${origin}/oauth/callback`
}

/** A made-up code is refused as such only when the client's own credentials were taken. */
async function checkClient(
  { config, egresses, clock }: DoctorParts,
  metadata: ProviderMetadata,
): Promise<Finding> {
  const { oidc, listen } = config
  const check = 'IdP client credentials'
  const verifier = oidc.use_pkce ? randomBytes(32).toString('base64url') : undefined
  const form = codeForm('gateway-doctor-no-code', redirectUriOf(listen), verifier)
  const headers = await createClientAuthentication(oidc, clock)(form, metadata)
  const answer = await bounded(clock, 'asking the token endpoint', exchangeMs, (signal) =>
    askProvider(
      egresses.provider.fetch,
      metadata.token_endpoint,
      { method: 'POST', headers, form },
      signal,
    ),
  )
  if (!answer.ok) {
    return failed(check, answer.reason, `open ${metadata.token_endpoint} to this machine`)
  }
  const error = answer.json?.['error']
  const said = typeof error === 'string' ? error : `${answer.status}`
  if (said === 'invalid_grant') return ok(check, 'taken')
  if (said === 'invalid_client' || said === 'unauthorized_client' || answer.status === 401) {
    return failed(
      check,
      `refused: ${said}`,
      'correct oidc.client_id and oidc.client_secret (or client_assertion), and let oidc.token_endpoint_auth_method be what the provider has for this client',
    )
  }
  return warned(
    check,
    `the answer tells nothing: ${said}`,
    'sign in once by hand; the reason for a refusal is in the log of the gateway',
  )
}

function checkAssertion({ config: { oidc }, clock }: DoctorParts): readonly Finding[] {
  if (oidc.client_assertion === undefined) return []
  const check = 'oidc.client_assertion'
  const certificate = new X509Certificate(oidc.client_assertion.certificate_pem)
  const ending = expiryWarning(certificate, clock.now())
  const until = new Date(Date.parse(certificate.validTo)).toISOString().slice(0, 10)
  if (ending === null) return [ok(check, `the certificate is valid until ${until}`)]
  const fix =
    'make a new key and certificate, register the certificate at the provider beside the old one, and replace both keys of oidc.client_assertion'
  const isOver = clock.now() > Date.parse(certificate.validTo)
  return [isOver ? failed(check, ending, fix) : warned(check, ending, fix)]
}
