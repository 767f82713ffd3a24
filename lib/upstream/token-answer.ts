/**
 * Reads the answer of a token endpoint (RFC 6749 section 5.1). Used by the exchanges that are made
 * here; what a failure says is for the operator's log.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Token } from './token-cache.ts'

/** For answers without `expires_in`: short enough for any endpoint known. */
const defaultLifeSeconds = 600

/** Of an error answer, for the log. */
const errorMaxChars = 500

/** The access token. Rejects for an error, and for an answer without a token. */
export async function readTokenAnswer(response: Response, clock: Clock): Promise<Token> {
  const text = await response.text()
  if (response.status !== 200) {
    throw new Error(
      `the token endpoint answered ${response.status}: ${text.slice(0, errorMaxChars)}`,
    )
  }
  // Not in the failure: it may hold a token after all.
  const answer = parse(text)
  const value = Reflect.get(answer, 'access_token')
  if (typeof value !== 'string' || value === '') {
    throw new Error('the token endpoint answered without an access token')
  }
  const life = Number(Reflect.get(answer, 'expires_in') ?? defaultLifeSeconds)
  const seconds = Number.isFinite(life) ? life : defaultLifeSeconds
  return { value, expiresAt: clock.now() + seconds * 1000 }
}

function parse(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    return {}
  }
}
