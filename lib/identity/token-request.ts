/**
 * The two exchanges at the provider's token endpoint and what their answers mean. Forms and
 * verdicts are pure; sending is `provider.ts`'s business.
 */
import { asString, type JsonObject } from './json-object.ts'
import { quote, refuse, succeed, unavailable, type Outcome } from './outcome.ts'
import type { ProviderAnswer } from './provider-request.ts'

export interface Tokens {
  readonly id_token: string | undefined
  readonly access_token: string | undefined
  readonly refresh_token: string | undefined
}

export function codeForm(
  code: string,
  redirect_uri: string,
  code_verifier: string | undefined,
): URLSearchParams {
  const form = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri })
  if (code_verifier !== undefined) form.set('code_verifier', code_verifier)
  return form
}

export function refreshForm(refresh_token: string, scope: string | undefined): URLSearchParams {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token })
  if (scope !== undefined) form.set('scope', scope)
  return form
}

/** Only `invalid_grant` is the person's refusal; everything else may be better in a minute. */
export function readTokens(answer: ProviderAnswer): Outcome<Tokens> {
  if (!answer.ok) return unavailable('token_endpoint', answer.reason)
  const { status, json } = answer
  if (status !== 200) {
    const error = asString(json?.['error'])
    if (error === undefined) {
      return unavailable('token_endpoint', `expected 200 OK, got: ${status}`)
    }
    const reason = describeError(error, json)
    return error === 'invalid_grant' && status < 500
      ? refuse('token_endpoint', reason)
      : unavailable('token_endpoint', reason)
  }
  if (json === null) return unavailable('token_endpoint', 'the answer is not a JSON object')
  return succeed({
    id_token: asString(json['id_token']),
    access_token: asString(json['access_token']),
    refresh_token: asString(json['refresh_token']),
  })
}

function describeError(error: string, json: JsonObject | null): string {
  const description = asString(json?.['error_description'])
  return quote(description === undefined ? error : `${error} (${description})`)
}
