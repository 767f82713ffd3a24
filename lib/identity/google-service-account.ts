/**
 * Access tokens of a Google service account that acts for an administrator (domain-wide
 * delegation): a signed assertion is traded for a token (RFC 7523 section 2.1), which serves every
 * lookup until shortly before its end. The key file is read again for each trade, so that a
 * replaced key needs no restart.
 */
import { readFile } from 'node:fs/promises'
import { SignJWT } from 'jose'
import type { Clock } from '../kernel/clock.ts'
import { createSingleFlight } from '../kernel/single-flight.ts'
import { withDeadline } from './deadline.ts'
import { parseGoogleKey, type GoogleKey } from './google-key.ts'
import { asObject, asString, type JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'
import { quote } from './outcome.ts'
import { askProvider } from './provider-request.ts'

export interface ServiceAccount {
  /** Throws an error whose text is for the operator. */
  token(): Promise<string>
  /** This one was refused: the next call trades for another. */
  discard(token: string): void
}

export interface ServiceAccountDeps {
  readonly fetchFrom: typeof fetch
  readonly clock: Clock
  readonly token_endpoint: string
}

const scope = 'https://www.googleapis.com/auth/admin.directory.group.readonly'
/** Of an assertion, which is used at once: room for a clock that runs ahead. */
const assertionSeconds = 300
/** A trade is one small request; whoever signs in waits for it within a bound of their own. */
const waitMs = 5000
/** Tokens are replaced this long before they end: longer than any lookup. */
const marginSeconds = 60

export function createServiceAccount(
  settings: NonNullable<OidcOptions['google_groups']>,
  deps: ServiceAccountDeps,
): ServiceAccount {
  const { clock } = deps
  const share = createSingleFlight<string>()
  let held: { readonly token: string; readonly until: number } | undefined

  const trade = async (signal: AbortSignal): Promise<string> => {
    const key = await readKey(settings.service_account_json_path)
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await sign(key, settings.admin_email, deps),
    })
    const request = { method: 'POST', form } as const
    const answer = await askProvider(deps.fetchFrom, deps.token_endpoint, request, signal)
    if (!answer.ok) throw new Error(`service account: ${answer.reason}`)
    const token = asString(answer.json?.['access_token'])
    if (answer.status !== 200 || token === undefined || token === '') {
      throw new Error(`service account: ${describeGoogle(answer.status, answer.json)}`)
    }
    const seconds = Number(answer.json?.['expires_in'])
    // Without a lifetime it is good for this once.
    const lives = Number.isFinite(seconds) ? Math.max(0, seconds - marginSeconds) : 0
    held = { token, until: clock.now() + lives * 1000 }
    return token
  }
  return {
    async token() {
      if (held !== undefined && clock.now() < held.until) return held.token
      // Shared by everybody who waits, so its bound is its own and nobody's leaving ends it.
      return share('token', () => withDeadline(clock, 'service account', waitMs, trade))
    },
    discard(token) {
      if (held?.token === token) held = undefined
    },
  }
}

async function readKey(path: string): Promise<GoogleKey> {
  const key = parseGoogleKey(await readFile(path, 'utf8'))
  if (key.kind === 'ok') return key.value
  throw new Error(`oidc.google_groups.service_account_json_path: found ${key.found}`)
}

function sign(
  { client_email, privateKey, private_key_id }: GoogleKey,
  admin_email: string,
  { clock, token_endpoint }: ServiceAccountDeps,
): Promise<string> {
  const now = Math.floor(clock.now() / 1000)
  const kid = private_key_id === undefined ? {} : { kid: private_key_id }
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...kid })
    .setIssuer(client_email)
    .setSubject(admin_email)
    .setAudience(token_endpoint)
    .setIssuedAt(now)
    .setExpirationTime(now + assertionSeconds)
    .sign(privateKey)
}

/** Google's two forms: `{error, error_description}` of OAuth and `{error: {message}}` of its APIs. */
export function describeGoogle(status: number, json: JsonObject | null): string {
  const error = json?.['error']
  const code = asString(error)
  const text = asString(json?.['error_description']) ?? asString(asObject(error)?.['message'])
  const said = [code, text].filter((part) => part !== undefined).join(': ')
  return quote(`expected 200 OK, got: ${status}${said === '' ? '' : ` (${said})`}`)
}
