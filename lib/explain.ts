/**
 * `gateway explain`: what a person would get, and why, from the file alone. Asks the very parts
 * that answer clients, so that it cannot say anything else than they would.
 */
import type { Config } from './config.ts'
import { createPolicyHandlers } from './handlers.ts'
import type { Exchange, Reply } from './http/exchange.ts'
import type { Caller } from './kernel/caller.ts'
import type { Log } from './kernel/log.ts'
import { createPolicyMatcher, domainOf } from './policy/match.ts'
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
    policies: judge(config.managed?.policies ?? [], caller),
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

/** Up to the one that the matcher names; what speaks against the others it is asked too. */
function judge(policies: readonly Policy[], caller: Caller): Explanation['policies'] {
  const found = createPolicyMatcher(policies)(caller)
  const judged = found < 0 ? policies : policies.slice(0, found + 1)
  return judged.map((policy, index) => ({
    index,
    match: describeMatch(policy),
    fits: index === found,
    why: index === found ? 'fits, and is the first that does' : objections(policy, caller),
  }))
}

/** Half by half: a policy that asks for one of them alone would fit or not. */
function objections({ match }: Policy, caller: Caller): string {
  const fits = (half: Policy['match']): boolean =>
    createPolicyMatcher([{ match: half, cli: {} }])(caller) === 0
  const { groups, email_domain } = match ?? {}
  const own = domainOf(caller.email)
  const against: string[] = []
  if (groups !== undefined && !fits({ groups })) {
    against.push(`in none of its groups (${groups.join(', ')})`)
  }
  if (email_domain !== undefined && !fits({ email_domain })) {
    against.push(`the email domain is ${own ?? 'unknown'}, not ${email_domain}`)
  }
  return against.join('; ')
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
