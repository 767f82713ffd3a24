/**
 * The provider's userinfo endpoint (OpenID Connect Core 1.0 section 5.3): the second source of
 * claims, and on a refresh without id_token the only one.
 */
import type { Conversation } from './conversation.ts'
import { asString, type JsonObject } from './json-object.ts'
import { refuse, succeed, unavailable, type Outcome } from './outcome.ts'
import { askProvider } from './provider-request.ts'

const wrongPerson = 'userinfo sub missing or does not match id_token sub'

/** The claims, which count only when they are about the same person as the id_token. */
export async function askUserinfo(
  fetchFrom: typeof fetch,
  access_token: string | undefined,
  idTokenSub: string | undefined,
  { metadata, signal, step }: Conversation,
): Promise<Outcome<JsonObject>> {
  const { userinfo_endpoint } = metadata
  if (userinfo_endpoint === undefined) {
    return unavailable(step, 'userinfo: the provider has no userinfo_endpoint')
  }
  if (access_token === undefined) {
    return unavailable(step, 'userinfo: the provider gave no access_token to ask with')
  }
  const request = { method: 'GET', headers: { authorization: `Bearer ${access_token}` } } as const
  const answer = await askProvider(fetchFrom, userinfo_endpoint, request, signal)
  if (!answer.ok) return unavailable(step, `userinfo: ${answer.reason}`)
  if (answer.status !== 200) {
    return unavailable(step, `userinfo: expected 200 OK, got: ${answer.status}`)
  }
  if (answer.json === null) return unavailable(step, 'userinfo: the answer is not a JSON object')
  const sub = asString(answer.json['sub'])
  if (sub === undefined || sub === '') return unavailable(step, wrongPerson)
  return idTokenSub === undefined || sub === idTokenSub
    ? succeed(answer.json)
    : refuse(step, wrongPerson)
}
