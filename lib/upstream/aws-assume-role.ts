/**
 * `upstreams[].assume_role`: requests are signed with an hour's keys of a role, taken in a session
 * that names the developer, so that AWS's own trail and budgets know who asked. The gateway's own
 * keys only ask STS for them. A role that cannot be assumed is a failure of its upstream: nothing
 * may ever be signed with the gateway's own keys instead.
 */
import { createHash } from 'node:crypto'
import { headerPairs } from '../egress/fetch.ts'
import { createCache } from '../kernel/cache.ts'
import type { Caller } from '../kernel/caller.ts'
import type { AwsIdentity, ExpiringKeys } from './aws-credentials.ts'
import { createAwsSigner } from './aws-signer.ts'
import type { ProviderConfig } from './config.ts'
import { stsElement } from './sts-element.ts'
import { createTokenCache, type TokenCache } from './token-cache.ts'
import type { ProviderDeps } from './upstream.ts'

export type AssumeRole = NonNullable<ProviderConfig<'bedrock'>['assume_role']>

/** What every role allows without further configuration. */
const sessionSeconds = 3600

/** Two to 64 characters are what STS takes. */
const sessionNameMin = 2
const sessionNameMax = 64

/** Of a name cut short: enough that no two developers of one company share the rest. */
const digestLength = 16

const sharedSessionName = 'claude-apps-gateway'

/** Sessions kept at once: a replica of a very large company; the least recently used one goes. */
const sessionsMax = 10_000

/** Keys of the role for each developer, out of `own` ones that only STS gets to see. */
export function createAssumedIdentity(
  deps: ProviderDeps,
  name: string,
  region: string,
  role: AssumeRole,
  own: AwsIdentity,
): AwsIdentity {
  const sessions = createCache<string, TokenCache<ExpiringKeys>>(sessionsMax, deps.clock)
  const assume = createAssume(deps, region, role)
  return async (caller, signal) => {
    const sessionName = nameSession(role.session_name, caller)
    const session =
      sessions.get(sessionName) ??
      createTokenCache(deps, `session ${sessionName} of ${name}`, async (limit) =>
        assume(sessionName, await own(caller, limit), limit),
      )
    // Kept while it is used; an unused one ends no later than its keys.
    sessions.set(sessionName, session, deps.clock.now() + sessionSeconds * 1000)
    return (await session.get(signal)).keys
  }
}

/** The name of the developer's session; throws when the claim it is to be made of is missing. */
export function nameSession(claim: AssumeRole['session_name'], caller: Caller): string {
  if (claim === undefined) return sharedSessionName
  const value = claim === 'email' ? caller.email : caller.sub
  if (value === undefined || value === '') {
    throw new Error(
      `assume_role.session_name is ${claim}, which the identity provider does not send for ${caller.sub}: request the ${claim} claim, or set session_name: sub`,
    )
  }
  const escaped = value.toWellFormed().replaceAll(/[^A-Za-z0-9_+,.@-]/gu, escapeCharacter)
  if (escaped.length >= sessionNameMin && escaped.length <= sessionNameMax) return escaped
  const digest = createHash('sha256').update(value).digest('hex').slice(0, digestLength)
  return `${escaped.slice(0, sessionNameMax - digestLength - 1)}-${digest}`
}

/** `=XX` for each byte of the character in UTF-8. */
function escapeCharacter(character: string): string {
  return [...Buffer.from(character)]
    .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
}

type Assume = (
  sessionName: string,
  own: Awaited<ReturnType<AwsIdentity>>,
  signal: AbortSignal,
) => Promise<ExpiringKeys>

function createAssume(deps: ProviderDeps, region: string, role: AssumeRole): Assume {
  const url = new URL(deps.stsUrl ?? `https://sts.${region}.amazonaws.com`)
  const target = url.pathname
  const sign = createAwsSigner('sts', region)
  return async (sessionName, own, signal) => {
    const form = new URLSearchParams({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: role.role_arn,
      RoleSessionName: sessionName,
      DurationSeconds: String(sessionSeconds),
    })
    if (role.external_id !== undefined) form.set('ExternalId', role.external_id)
    const body = Buffer.from(form.toString())
    const plain = ['content-type', 'application/x-www-form-urlencoded; charset=utf-8']
    const headers = sign({ url, target, headers: plain, body }, own, deps.clock.now())
    const init = { method: 'POST', headers: headerPairs(headers), body, signal }
    // Bounded in time and size there. Real even in load-test mode, as every credential is.
    const response = await deps.egress.fetch(url, init)
    const text = await response.text()
    if (response.status !== 200) throw new Error(describeRefusal(response.status, text))
    return readKeys(text)
  }
}

/** STS says in words why; its words name the role and the operator's own account. */
function describeRefusal(status: number, text: string): string {
  const why = stsElement(text, 'Message') ?? 'no reason given'
  return `STS refused the role: ${status} ${stsElement(text, 'Code') ?? ''} ${why}`
}

function readKeys(text: string): ExpiringKeys {
  const accessKeyId = stsElement(text, 'AccessKeyId')
  const secretAccessKey = stsElement(text, 'SecretAccessKey')
  const sessionToken = stsElement(text, 'SessionToken')
  const expiresAt = Date.parse(stsElement(text, 'Expiration') ?? '')
  if (
    accessKeyId === null ||
    secretAccessKey === null ||
    sessionToken === null ||
    Number.isNaN(expiresAt)
  ) {
    throw new Error('STS answered without credentials')
  }
  return { keys: { accessKeyId, secretAccessKey, sessionToken }, expiresAt }
}
