/**
 * `gateway explain`: what a person would get, and why, from the file alone. Asks the very parts
 * that answer clients, so that it cannot say anything else than they would.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.ts'
import { createPolicyHandlers } from './handlers.ts'
import type { Exchange, Reply } from './http/exchange.ts'
import type { Caller } from './kernel/caller.ts'
import type { Log } from './kernel/log.ts'
import { describeMatch } from './policy/policies-check.ts'
import type { Policy } from './policy/policy.ts'

export interface Person {
  readonly email: string | undefined
  readonly groups: readonly string[]
}

export interface Explanation {
  readonly person: Person
  /** Every policy up to the one that matches, with what speaks against it. */
  readonly policies: readonly {
    readonly index: number
    readonly match: string
    readonly fits: boolean
    readonly why: string
  }[]
  /** What Claude Code is served; null with the reason when nothing is. */
  readonly settings: { readonly checksum: string; readonly document: unknown } | null
  readonly settingsRefusal: string | null
  /** Models the person may use, with the upstreams in the order they are asked. */
  readonly models: readonly { readonly id: string; readonly upstreams: readonly string[] }[]
  /** What Claude Desktop is served; null with the reason when nothing is. */
  readonly desktop: unknown
  readonly desktopRefusal: string | null
}

/** Nothing is served to anybody, so nothing is written. */
const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  debugs: false,
}

export async function explain(config: Config, person: Person): Promise<Explanation> {
  const parts = createPolicyHandlers(config, { log: silent, audit: () => {} })
  const caller: Caller = {
    sub: 'explained',
    email: person.email,
    name: undefined,
    groups: person.groups,
    expiresAt: 0,
  }
  const settings = await parts.managedSettings(ask('/managed/settings'), caller)
  const desktop = await parts.bootstrap(ask('/user/bootstrap'), caller)
  const served = bodyOf(settings)
  const document = settings.status === 200 && isRecord(served) ? served : null
  const { catalogue, access } = parts
  return {
    person,
    policies: judge(config.managed?.policies ?? [], person),
    settings:
      document === null
        ? null
        : { checksum: String(document['checksum']), document: document['settings'] },
    settingsRefusal: document === null ? String(served) : null,
    models: catalogue
      .list(person.groups)
      .filter(({ id }) => access.admits(caller, id))
      .map(({ id }) => {
        const resolution = catalogue.resolve(id, person.groups)
        const routes = resolution.kind === 'routes' ? resolution.routes : []
        return { id, upstreams: routes.map(({ upstream, model }) => `${upstream} (${model})`) }
      }),
    desktop: desktop.status === 200 ? withoutExpiry(bodyOf(desktop)) : null,
    desktopRefusal: desktop.status === 200 ? null : refusalOf(bodyOf(desktop)),
  }
}

/** For people: what fits, the document, the models, Claude Desktop. */
export function formatExplanation(explanation: Explanation): string {
  const { person, policies, settings, settingsRefusal, models, desktop, desktopRefusal } =
    explanation
  const groups = person.groups.length === 0 ? 'no groups' : `groups ${person.groups.join(', ')}`
  return [
    `${person.email ?? 'somebody without an email'}, ${groups}`,
    '',
    'Policies',
    ...(policies.length === 0 ? ['  none: every model is admitted'] : []),
    ...policies.map(
      ({ index, match, fits, why }) =>
        `  ${fits ? '→' : ' '} managed.policies.${index} (${match}): ${why}`,
    ),
    '',
    'Managed settings',
    ...(settings === null
      ? [`  404 ${settingsRefusal ?? ''}`]
      : [
          `  ${settings.checksum}`,
          ...JSON.stringify(settings.document, null, 2)
            .split('\n')
            .map((line) => `  ${line}`),
        ]),
    '',
    `Models (${models.length})`,
    ...models.map(({ id, upstreams }) => `  ${id}: ${upstreams.join(', then ')}`),
    '',
    'Claude Desktop',
    ...(desktop === null
      ? [`  404 ${desktopRefusal ?? ''}`]
      : JSON.stringify(desktop, null, 2)
          .split('\n')
          .map((line) => `  ${line}`)),
    '',
  ].join('\n')
}

function judge(policies: readonly Policy[], person: Person): Explanation['policies'] {
  const judged: Explanation['policies'][number][] = []
  for (const [index, policy] of policies.entries()) {
    const against = objections(policy, person)
    const fits = against.length === 0
    const why = fits ? 'fits, and is the first that does' : against.join('; ')
    judged.push({ index, match: describeMatch(policy), fits, why })
    if (fits) break
  }
  return judged
}

function objections({ match }: Policy, { email, groups }: Person): string[] {
  const wanted = match?.groups
  const domain = match?.email_domain
  const own = email === undefined ? undefined : email.slice(email.lastIndexOf('@') + 1)
  return [
    ...(wanted === undefined || wanted.some((group) => groups.includes(group))
      ? []
      : [`in none of its groups (${wanted.join(', ')})`]),
    ...(domain === undefined || isDeepStrictEqual(own?.toLowerCase(), domain.toLowerCase())
      ? []
      : [`the email domain is ${own ?? 'unknown'}, not ${domain}`]),
  ]
}

/** A request as a client would send it; nothing of it is read but its path and headers. */
function ask(path: string): Exchange {
  return {
    method: 'GET',
    path,
    query: '',
    headers: {},
    headerLines: () => [],
    requestId: 'explain',
    clientAddress: '',
    signal: new AbortController().signal,
    startedAt: 0,
    readBody: () => Promise.resolve(new Uint8Array()),
  }
}

function bodyOf({ body }: Reply): unknown {
  if (typeof body !== 'string') return ''
  try {
    const value: unknown = JSON.parse(body)
    return value
  } catch {
    return body
  }
}

function refusalOf(body: unknown): string {
  const error = isRecord(body) ? body['error'] : undefined
  return isRecord(error) ? String(error['message']) : String(body)
}

/** The end of the session, of which there is none here. */
function withoutExpiry(body: unknown): unknown {
  if (!isRecord(body)) return body
  const { expiresAt: _expiresAt, ...rest } = body
  return rest
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
