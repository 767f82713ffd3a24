/**
 * How the gateway proves itself at the provider's token endpoint (RFC 6749 section 2.3.1,
 * RFC 7523). Adds what the method needs to a request that is otherwise finished.
 */
import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Clock } from '../kernel/clock.ts'
import type { OidcOptions, TokenEndpointAuthMethod } from './options.ts'
import type { ProviderMetadata } from './provider-metadata.ts'

/** Fills in form fields; what it returns goes into the headers. */
export type ClientAuthentication = (
  form: URLSearchParams,
  metadata: ProviderMetadata,
) => Promise<Readonly<Record<string, string>>>

/** An assertion is used once, at once; two minutes forgive the provider's clock. */
const assertionSeconds = 120

export function createClientAuthentication(oidc: OidcOptions, clock: Clock): ClientAuthentication {
  const { client_id, client_secret = '' } = oidc
  const assert = oidc.client_assertion && createAssertion(client_id, oidc.client_assertion, clock)
  return async (form, metadata) => {
    switch (chooseMethod(oidc, metadata)) {
      case 'client_secret_basic':
        return { authorization: basic(client_id, client_secret) }
      case 'client_secret_post':
        form.set('client_id', client_id)
        form.set('client_secret', client_secret)
        return {}
      case 'private_key_jwt':
        if (assert === undefined) throw new Error('private_key_jwt needs oidc.client_assertion')
        form.set('client_id', client_id)
        form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        form.set('client_assertion', await assert(metadata.token_endpoint))
        return {}
    }
  }
}

/** The configured method; else `client_secret_post` where offered; else the protocol's default. */
export function chooseMethod(
  oidc: Pick<OidcOptions, 'token_endpoint_auth_method'>,
  metadata: Pick<ProviderMetadata, 'token_endpoint_auth_methods_supported'>,
): TokenEndpointAuthMethod {
  if (oidc.token_endpoint_auth_method !== undefined) return oidc.token_endpoint_auth_method
  return metadata.token_endpoint_auth_methods_supported?.includes('client_secret_post')
    ? 'client_secret_post'
    : 'client_secret_basic'
}

/** Both halves are form-encoded before they are joined, or a colon in the id would split wrong. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2)
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`
}

/** Signed with the certificate's key; thumbprints instead of a `kid`, as Entra ID asks for. */
function createAssertion(
  client_id: string,
  pems: { readonly private_key_pem: string; readonly certificate_pem: string },
  clock: Clock,
): (audience: string) => Promise<string> {
  const key = createPrivateKey(pems.private_key_pem)
  const certificate = new X509Certificate(pems.certificate_pem)
  const thumbprint = (hash: string): string =>
    createHash(hash).update(certificate.raw).digest('base64url')
  const header = {
    alg: 'RS256',
    typ: 'JWT',
    x5t: thumbprint('sha1'),
    'x5t#S256': thumbprint('sha256'),
  }
  return (audience) => {
    const now = Math.floor(clock.now() / 1000)
    return new SignJWT({
      iss: client_id,
      sub: client_id,
      aud: audience,
      jti: randomUUID(),
      iat: now,
      exp: now + assertionSeconds,
    })
      .setProtectedHeader(header)
      .sign(key)
  }
}
