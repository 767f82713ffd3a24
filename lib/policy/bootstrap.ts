/**
 * `/user/bootstrap`: the configuration of a Claude Desktop for the person who signed in. What
 * depends on the policy alone is worked out when the configuration is read; models and labels
 * depend on the caller.
 */
import type { Catalogue } from '../catalogue/resolve.ts'
import type { CallerHandler, Exchange, Reply } from '../http/exchange.ts'
import { json, noStore } from '../http/reply.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Audit, Log } from '../kernel/log.ts'
import { desktopDocument, mergeDesktop } from './desktop-document.ts'
import { effectiveSettings } from './effective.ts'
import { basePolicy, createPolicyMatcher } from './match.ts'
import { isObject } from './merge.ts'
import type { ModelAccess } from './model-access.ts'
import { resourceAttributes } from './otlp-identity.ts'
import { describeMatch } from './policies-check.ts'
import type { JsonObject, Policy } from './policy.ts'

export interface BootstrapDeps {
  readonly catalogue: Catalogue
  readonly access: ModelAccess
  readonly log: Log
  readonly audit: Audit
}

export interface BootstrapConfig {
  readonly policies: readonly Policy[]
  /** `listen.public_url`, or where the gateway listens. */
  readonly publicUrl: string
  /** `telemetry.resource_attributes`; null when clients are not told to report here. */
  readonly telemetryLabels: Readonly<Record<string, string>> | null
  /** `admin.admin_groups`. */
  readonly adminGroups: readonly string[]
}

/** The part of an answer that is the same for everybody a policy fits. */
interface Prepared {
  readonly code: boolean
  readonly protocol: string
  /** False when the policy turns the long context off. */
  readonly longContext: boolean
  readonly desktop: JsonObject
}

type Denial = 'not_configured' | 'policy_not_opted_in' | 'no_policy_matched'

const denials: Readonly<Record<Denial, string>> = {
  not_configured:
    'Claude Desktop is not configured on this gateway — add a "desktop:" block to a managed policy',
  policy_not_opted_in:
    'the policy matching this user does not opt into desktop — add a "desktop:" block to it',
  no_policy_matched: 'no policy matched',
}

export function createBootstrap(deps: BootstrapDeps, config: BootstrapConfig): CallerHandler {
  const { log, audit } = deps
  const { policies } = config
  const match = createPolicyMatcher(policies)
  const prepared = prepare(policies)
  const admins = new Set(config.adminGroups)

  const deny = (reason: Denial, caller: Caller, exchange: Exchange): Reply => {
    const { requestId } = exchange
    if (reason !== 'not_configured') {
      log.warn(`desktop: ${denials[reason]} sub=${caller.sub} request_id=${requestId}`)
      if (log.debugs) log.debug(`desktop: tried ${policies.map(describeMatch).join('; ')}`)
    }
    const { sub, email } = caller
    audit('desktop_bootstrap.denied', { request_id: requestId, reason, sub, email })
    const error = { type: 'not_found_error', message: denials[reason] }
    return json(404, { type: 'error', request_id: requestId, error }, noStore)
  }

  return (exchange, caller) => {
    if (prepared.every((policy) => policy === null)) return deny('not_configured', caller, exchange)
    const index = match(caller)
    if (index < 0) return deny('no_policy_matched', caller, exchange)
    const policy = prepared[index] ?? null
    if (policy === null) return deny('policy_not_opted_in', caller, exchange)
    const { sub, email } = caller
    audit('desktop_bootstrap.serve', {
      request_id: exchange.requestId,
      sub,
      email,
      policy_index: index,
    })
    const admin = caller.groups.some((group) => admins.has(group))
    return json(200, describe(policy, caller, deps, config), [
      ...noStore,
      ['x-gateway-spend-admin', String(admin)],
    ])
  }
}

/** Per policy in file order; null where Desktop is not opted in. */
function prepare(policies: readonly Policy[]): readonly (Prepared | null)[] {
  const base = basePolicy(policies)
  return effectiveSettings(policies).map((settings, index) => {
    const policy = policies[index]
    const desktop = policy === base ? base?.desktop : mergeDesktop(base?.desktop, policy?.desktop)
    if (desktop === undefined) return null
    const env = isObject(settings['env']) ? settings['env'] : {}
    return {
      code: (policy?.code ?? base?.code) !== undefined,
      protocol: protocolOf(env),
      longContext: !/^(?:1|true|yes|on)$/i.test(String(env['CLAUDE_CODE_DISABLE_1M_CONTEXT'])),
      desktop: desktopDocument(desktop, settings),
    }
  })
}

/** Clients that were told to speak JSON in their environment are told so here too. */
function protocolOf(env: JsonObject): string {
  const asksForJson = Object.entries(env).some(
    ([name, value]) =>
      /^OTEL_EXPORTER_OTLP_(?:(?:METRICS|LOGS|TRACES)_)?PROTOCOL$/.test(name) &&
      value === 'http/json',
  )
  return asksForJson ? 'http/json' : 'http/protobuf'
}

function describe(
  policy: Prepared,
  caller: Caller,
  { catalogue, access }: BootstrapDeps,
  { publicUrl, telemetryLabels }: BootstrapConfig,
): JsonObject {
  const listed = catalogue.list(caller.groups).filter(({ id }) => access.admits(caller, id))
  const ids = new Set(listed.map(({ id }) => id.toLowerCase()))
  const models = listed.map(({ id, label, supports1m }) => {
    // An operator who lists a model a second time with the mark says so of the first.
    const isLong = supports1m || ids.has(`${id.toLowerCase()}[1m]`)
    return {
      name: id,
      ...(label === undefined || label === '' ? {} : { labelOverride: label }),
      ...(isLong && policy.longContext ? { supports1m: true } : {}),
    }
  })
  return {
    inferenceProvider: 'gateway',
    inferenceGatewayBaseUrl: publicUrl,
    inferenceCredentialKind: 'interactive',
    ...(policy.code ? { inferenceGatewayManagedClaudeCode: true } : {}),
    ...(telemetryLabels === null
      ? {}
      : {
          otlpEndpoint: publicUrl,
          otlpProtocol: policy.protocol,
          otlpResourceAttributes: resourceAttributes(telemetryLabels, caller),
        }),
    ...(models.length === 0 ? {} : { inferenceModels: models }),
    ...policy.desktop,
    expiresAt: caller.expiresAt,
  }
}
