/**
 * Access tokens for Google Cloud: of a service account's key file, exchanged here, or of the
 * application default credentials, found by Google's library. Behind a token cache only. A key
 * file decides whose token it is, never where the key is sent.
 */
import { sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { GoogleAuth } from 'google-auth-library'
import { readTokenAnswer } from './token-answer.ts'
import type { Token, TokenSource } from './token-cache.ts'
import type { ProviderDeps } from './upstream.ts'

const scope = 'https://www.googleapis.com/auth/cloud-platform'

/** Whatever the key file names: a file from elsewhere must not redirect the assertion. */
const googleTokenUrl = 'https://oauth2.googleapis.com/token'

/** What Google allows an assertion at most. */
const assertionSeconds = 3600

/** The library renews what ends within this time: always, because the cache asks when it is due. */
const alwaysMs = 24 * 60 * 60_000

/** `path` is read for each token, so that a rotated key counts. `tokenUrl` is for specs. */
export function createServiceAccountTokens(
  { egress, clock }: Pick<ProviderDeps, 'egress' | 'clock'>,
  path: string,
  tokenUrl: string = googleTokenUrl,
): TokenSource<Token> {
  return async (signal) => {
    const key = parseKey(await readFile(path, { encoding: 'utf8', signal }), path)
    const issuedAt = Math.floor(clock.now() / 1000)
    const claims = {
      iss: key.client_email,
      scope,
      aud: tokenUrl,
      exp: issuedAt + assertionSeconds,
      iat: issuedAt,
    }
    const response = await egress.fetch(tokenUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: signAssertion(claims, key.private_key),
      }).toString(),
      signal,
    })
    return readTokenAnswer(response, clock)
  }
}

/**
 * The library is loaded now, in the background: a gateway without Google never pays for it, and
 * one with it not while streams are waiting.
 */
export function createDefaultGoogleTokens(): TokenSource<Token> {
  const loading = import('google-auth-library')
  // Whoever asks for a token is told.
  loading.catch(() => {})
  let auth: GoogleAuth | null = null
  return async () => {
    const library = await loading
    auth ??= new library.GoogleAuth({
      scopes: scope,
      clientOptions: { eagerRefreshThresholdMillis: alwaysMs },
    })
    const client = await auth.getClient()
    const { token } = await client.getAccessToken()
    const expiresAt = client.credentials.expiry_date
    if (typeof token !== 'string' || typeof expiresAt !== 'number') {
      throw new Error('the Google default credentials gave no access token')
    }
    return { value: token, expiresAt }
  }
}

interface Key {
  readonly client_email: string
  readonly private_key: string
}

function parseKey(text: string, path: string): Key {
  const key = parse(text)
  const client_email: unknown = Reflect.get(key, 'client_email')
  const private_key: unknown = Reflect.get(key, 'private_key')
  if (typeof client_email === 'string' && typeof private_key === 'string') {
    return { client_email, private_key }
  }
  throw new Error(`${path} is not the key file of a service account`)
}

function parse(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    // The parser's message quotes the text, which is a key.
    return {}
  }
}

/** A JWT (RFC 7515 section 7.1) signed with RS256. */
function signAssertion(claims: object, privateKey: string): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ alg: 'RS256' })}.${encode(claims)}`
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`
}
