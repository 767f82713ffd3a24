/**
 * Google Workspace keeps groups out of its tokens: they are looked up in the Directory API, at
 * sign-in and at every refresh. All of a person's groups or a failure, never some of them: a
 * missing group could open a gate of a policy that was meant to be closed.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Conversation } from './conversation.ts'
import { createServiceAccount, describeGoogle } from './google-service-account.ts'
import { asObject, asString, type JsonObject } from './json-object.ts'
import type { OidcOptions } from './options.ts'
import { succeed, unavailable, type Outcome } from './outcome.ts'
import { askProvider, describe, type ProviderAnswer } from './provider-request.ts'

/** The addresses of all groups that the person with this address is a direct member of. */
export type GoogleGroups = (
  email: string,
  talk: Conversation,
) => Promise<Outcome<readonly string[]>>

/** Google's own; only specs have others. */
export interface GoogleEndpoints {
  readonly token: string
  readonly groups: string
}

export const googleEndpoints: GoogleEndpoints = {
  token: 'https://oauth2.googleapis.com/token',
  groups: 'https://admin.googleapis.com/admin/directory/v1/groups',
}

/** The most that the API gives at once. */
const pageGroups = 200
/** 40,000 groups of one person: a mistake, or an API that goes in circles. */
const pagesMax = 200

export interface GoogleGroupsDeps {
  readonly fetchFrom: typeof fetch
  readonly clock: Clock
  readonly endpoints: GoogleEndpoints
}

export function createGoogleGroups(
  settings: NonNullable<OidcOptions['google_groups']>,
  { fetchFrom, clock, endpoints }: GoogleGroupsDeps,
): GoogleGroups {
  const account = createServiceAccount(settings, {
    fetchFrom,
    clock,
    token_endpoint: endpoints.token,
  })
  const askWith = (token: string, url: URL, signal: AbortSignal): Promise<ProviderAnswer> => {
    const request = { method: 'GET', headers: { authorization: `Bearer ${token}` } } as const
    return askProvider(fetchFrom, url.href, request, signal)
  }
  const ask = async (url: URL, signal: AbortSignal): Promise<JsonObject> => {
    const token = await account.token()
    let answer = await askWith(token, url, signal)
    if (answer.ok && answer.status === 401) {
      // A token may be taken back before its end; a fresh one tells that from a refusal.
      account.discard(token)
      answer = await askWith(await account.token(), url, signal)
    }
    if (!answer.ok) throw new Error(answer.reason)
    if (answer.status === 200 && answer.json !== null) return answer.json
    throw new Error(describeGoogle(answer.status, answer.json))
  }

  const readAll = async (email: string, signal: AbortSignal): Promise<readonly string[]> => {
    const groups = new Set<string>()
    let pageToken: string | undefined
    for (let page = 0; page < pagesMax; page++) {
      const url = new URL(endpoints.groups)
      url.searchParams.set('userKey', email)
      url.searchParams.set('maxResults', String(pageGroups))
      if (pageToken !== undefined) url.searchParams.set('pageToken', pageToken)
      const answer = await ask(url, signal)
      for (const address of addresses(answer)) groups.add(address)
      pageToken = asString(answer['nextPageToken'])
      if (pageToken === undefined || pageToken === '') return [...groups]
    }
    throw new Error(`more than ${pagesMax} pages of groups`)
  }

  return async (email, talk) => {
    talk.step = 'google_groups'
    try {
      return succeed(await readAll(email, talk.signal))
    } catch (error) {
      return unavailable('google_groups', `google_groups: ${describe(error)}`)
    }
  }
}

/** Somebody in no group has no `groups` at all. */
function addresses({ groups }: JsonObject): readonly string[] {
  if (groups === undefined) return []
  if (!Array.isArray(groups)) throw new Error('the answer has no list of groups')
  const list: readonly unknown[] = groups
  return list.map((group) => {
    const email = asString(asObject(group)?.['email'])
    if (email === undefined || email === '') throw new Error('a group has no address')
    return email
  })
}
