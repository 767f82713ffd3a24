/**
 * Gives a refresh token back to the provider (RFC 7009 section 2), where it takes it.
 */
import type { ClientAuthentication } from './client-authentication.ts'
import type { Conversation } from './conversation.ts'
import { asString } from './json-object.ts'
import { succeed, unavailable, type Outcome } from './outcome.ts'
import { askProvider } from './provider-request.ts'

export type TokenRevocation = (token: string, talk: Conversation) => Promise<Outcome<null>>

/** A provider that does not know the token, or has no such endpoint, is as good as done. */
export function createTokenRevocation(
  authenticate: ClientAuthentication,
  fetchFrom: typeof fetch,
): TokenRevocation {
  return async (token, { metadata, signal, step }) => {
    const { revocation_endpoint } = metadata
    if (revocation_endpoint === undefined) return succeed(null)
    const form = new URLSearchParams({ token, token_type_hint: 'refresh_token' })
    const headers = await authenticate(form, metadata)
    const request = { method: 'POST', headers, form } as const
    const answer = await askProvider(fetchFrom, revocation_endpoint, request, signal)
    if (!answer.ok) return unavailable(step, answer.reason)
    const error = asString(answer.json?.['error'])
    if (answer.status === 200 || isAboutTheToken(answer.status, error)) return succeed(null)
    return unavailable(step, `revocation: ${error ?? `expected 200 OK, got: ${answer.status}`}`)
  }
}

/** Some providers refuse tokens they do not know, where RFC 7009 says 200. */
function isAboutTheToken(status: number, error: string | undefined): boolean {
  const about = ['invalid_token', 'invalid_grant', 'invalid_request', 'unsupported_token_type']
  return status === 400 && error !== undefined && about.includes(error)
}
