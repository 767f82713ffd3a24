/**
 * The provider's discovery document (OpenID Connect Discovery 1.0): fetched at boot, fetched anew
 * beside the work after an hour, kept when the provider cannot be reached. Readers are the authorization
 * request, the token exchange and the id_token checks.
 */
import type { Clock } from '../kernel/clock.ts'
import { messageOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { createSingleFlight } from '../kernel/single-flight.ts'
import { withDeadline } from './deadline.ts'
import { asString, type JsonObject } from './json-object.ts'
import { askProvider, describe } from './provider-request.ts'

export interface ProviderMetadata {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly jwks_uri: string
  readonly userinfo_endpoint: string | undefined
  readonly revocation_endpoint: string | undefined
  /** Undefined when the document does not say. */
  readonly token_endpoint_auth_methods_supported: readonly string[] | undefined
  readonly scopes_supported: readonly string[] | undefined
  /** RFC 9207: every authorization answer carries `iss`. */
  readonly authorization_response_iss_parameter_supported: boolean
}

export interface MetadataSource {
  /** Fails only when no document was ever loaded. */
  get(): Promise<ProviderMetadata>
  /** Loads and checks the document now; for boot. Fails with one clear line. */
  load(): Promise<ProviderMetadata>
}

/** Providers move endpoints rarely and keep the old ones alive for long. */
const freshMs = 60 * 60 * 1000
/** After a failed reload, so that a provider in trouble is not asked by every sign-in. */
const retryMs = 60 * 1000
/** The bound of every conversation with the provider. */
const waitMs = 10_000

export function createMetadataSource(
  url: string,
  fetchFrom: typeof fetch,
  clock: Clock,
  log: Log,
): MetadataSource {
  const share = createSingleFlight<ProviderMetadata>()
  let known: ProviderMetadata | undefined
  let freshUntil = 0

  const fetchDocument = async (): Promise<ProviderMetadata> => {
    const answer = await withDeadline(clock, 'OIDC discovery', waitMs, (signal) =>
      askProvider(fetchFrom, url, { method: 'GET' }, signal),
    )
    if (!answer.ok) throw new Error(answer.reason)
    if (answer.status !== 200) throw new Error(`expected 200 OK, got: ${answer.status}`)
    if (answer.json === null) throw new Error('the answer is not a JSON object')
    return parseMetadata(answer.json)
  }
  const load = async (): Promise<ProviderMetadata> => {
    try {
      known = await fetchDocument()
      freshUntil = clock.now() + freshMs
      return known
    } catch (error) {
      throw new Error(`oidc: discovery at ${url} failed: ${describe(error)}`, { cause: error })
    }
  }
  const reload = async (): Promise<void> => {
    // Whatever comes of it, the next try is not for the next request to make.
    freshUntil = clock.now() + retryMs
    try {
      await share('document', load)
    } catch (error) {
      log.warn(`${messageOf(error)}; going on with the document loaded before`)
    }
  }
  return {
    load: () => share('document', load),
    async get() {
      if (known === undefined) return share('document', load)
      // A person waiting for a page never waits for a reload: it happens beside.
      if (clock.now() >= freshUntil) void reload() // handles its own failure
      return known
    },
  }
}

/** `discovery_url`, or the well-known place under the issuer. */
export function discoveryUrl(issuer: string, discovery_url: string | undefined): string {
  return discovery_url ?? `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`
}

/** Checks what is used and drops the rest. Throws with the name of the field that is wrong. */
export function parseMetadata(document: JsonObject): ProviderMetadata {
  const issuer = asString(document['issuer'])
  if (issuer === undefined || issuer === '') throw new Error('the document has no issuer')
  return {
    issuer,
    authorization_endpoint: requireUrl(document, 'authorization_endpoint'),
    token_endpoint: requireUrl(document, 'token_endpoint'),
    jwks_uri: requireUrl(document, 'jwks_uri'),
    userinfo_endpoint: optionalUrl(document, 'userinfo_endpoint'),
    revocation_endpoint: optionalUrl(document, 'revocation_endpoint'),
    token_endpoint_auth_methods_supported: strings(
      document['token_endpoint_auth_methods_supported'],
    ),
    scopes_supported: strings(document['scopes_supported']),
    authorization_response_iss_parameter_supported:
      document['authorization_response_iss_parameter_supported'] === true,
  }
}

function requireUrl(document: JsonObject, field: string): string {
  const url = optionalUrl(document, field)
  if (url === undefined) throw new Error(`the document has no ${field}`)
  return url
}

function optionalUrl(document: JsonObject, field: string): string | undefined {
  const text = asString(document[field])
  if (text === undefined) return undefined
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol !== 'http:' && protocol !== 'https:') throw new Error(`${field} is not an http URL`)
  return text
}

function strings(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const list: readonly unknown[] = value
  return list.filter((entry) => typeof entry === 'string')
}
