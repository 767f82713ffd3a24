/**
 * `/managed/settings`: what Claude Code clients poll for the settings of their policy. Every
 * document is merged, serialised and hashed when the configuration is read; a request is a match
 * and a comparison.
 */
import type { CallerHandler, Exchange, HeaderList, Reply } from '../http/exchange.ts'
import { noStore, text } from '../http/reply.ts'
import type { Caller } from '../kernel/caller.ts'
import { compatibilityVersion } from '../kernel/compatibility.ts'
import type { Audit, Log } from '../kernel/log.ts'
import { checksumOf } from './canonical-json.ts'
import { isDesktopSession } from './desktop-session.ts'
import { effectiveSettings } from './effective.ts'
import { basePolicy, createPolicyMatcher } from './match.ts'
import { isObject, mergeBy } from './merge.ts'
import { describeMatch } from './policies-check.ts'
import type { JsonObject, Policy } from './policy.ts'

export interface ManagedSettingsDeps {
  readonly log: Log
  readonly audit: Audit
}

export interface ManagedSettingsConfig {
  /** Undefined without a `managed` block. */
  readonly policies: readonly Policy[] | undefined
  /** As `telemetryEnv` makes it. */
  readonly env: JsonObject | null
  /** As `modelPricing` makes it; a policy's own setting wins. */
  readonly modelPricing: JsonObject | null
}

/** A document ready to be served. */
interface Served {
  readonly checksum: string
  readonly etag: string
  readonly body: string
  /** Its settings are under `code`, and so are meant for Claude Desktop too. */
  readonly code: boolean
  /** `serve_to_desktop`, own or inherited. */
  readonly toDesktop: boolean | undefined
}

const version: HeaderList = [['x-cc-gateway-version', compatibilityVersion]]
const vary: HeaderList = [['Vary', 'User-Agent']]

export function createManagedSettings(
  { log, audit }: ManagedSettingsDeps,
  config: ManagedSettingsConfig,
): CallerHandler {
  const policies = config.policies
  const documents = createDocuments(config)
  // Telemetry alone is pushed to everybody, as if by one policy.
  const match = policies === undefined ? () => 0 : createPolicyMatcher(policies)

  return (exchange, caller) => {
    const index = match(caller)
    const document = documents[index]
    if (document === undefined) {
      if (policies === undefined) return refuse('not configured')
      log.warn(`managed: no policy matched for ${describe(caller, exchange)}`)
      if (log.debugs) log.debug(`managed: tried ${policies.map(describeMatch).join('; ')}`)
      return refuse('no policy matched')
    }
    const condition = exchange.headers['if-none-match']
    if (document.code && condition === '*') {
      log.info(
        `managed: policy ${index} has code settings that the client's machine does not take ` +
          `from this gateway, so the Code tab does not start, ${describe(caller, exchange)}`,
      )
      return notModified(noStore)
    }
    if (!document.code && isDesktopSession(exchange.headers['user-agent'])) {
      if (document.toDesktop !== true) {
        if (document.toDesktop === undefined) {
          log.info(
            `managed: policy ${index} is kept from a Claude Desktop session, it has no code ` +
              `settings, ${describe(caller, exchange)}`,
          )
        }
        return refuse('not served to Claude Desktop sessions')
      }
    }
    if (condition === document.etag) return notModified([])
    audit('managed.serve', {
      request_id: exchange.requestId,
      sub: caller.sub,
      email: caller.email,
      policy_index: index,
      checksum: document.checksum,
    })
    return serve(document)
  }
}

function createDocuments(config: ManagedSettingsConfig): readonly Served[] {
  const { policies, env, modelPricing } = config
  if (policies === undefined) {
    return env === null ? [] : [prepare({ env }, { code: false, toDesktop: undefined })]
  }
  const base = basePolicy(policies)
  return effectiveSettings(policies).map((settings, index) => {
    const policy = policies[index]
    return prepare(push(settings, env, modelPricing), {
      code: (policy?.code ?? base?.code) !== undefined,
      toDesktop: policy?.serve_to_desktop ?? base?.serve_to_desktop,
    })
  })
}

/** The gateway's own additions under what the policy says; new keys come last. */
function push(
  settings: JsonObject,
  env: JsonObject | null,
  modelPricing: JsonObject | null,
): JsonObject {
  const own = settings['env']
  const pushed =
    env === null ? {} : { env: mergeBy(() => undefined, env, isObject(own) ? own : {}) }
  const priced =
    modelPricing === null || Object.hasOwn(settings, 'modelPricing') ? {} : { modelPricing }
  return { ...settings, ...pushed, ...priced }
}

function prepare(settings: JsonObject, reach: Pick<Served, 'code' | 'toDesktop'>): Served {
  const checksum = checksumOf(settings)
  const body = JSON.stringify({ uuid: checksum, checksum, settings })
  return { checksum, etag: `"${checksum}"`, body, ...reach }
}

function serve({ etag, body }: Served): Reply {
  const type = ['Content-Type', 'application/json;charset=utf-8'] as const
  return { status: 200, headers: [['ETag', etag], ...vary, type, ...version], body }
}

/** RFC 9110 section 15.4.5 would have the ETag repeated; clients of this protocol do not expect it. */
function notModified(caching: HeaderList): Reply {
  return { status: 304, headers: [...vary, ...caching, ...version], body: null }
}

function refuse(reason: string): Reply {
  return text(404, reason, [...vary, ...noStore, ...version])
}

function describe({ sub, groups }: Caller, { requestId }: Exchange): string {
  return `sub=${sub} groups=${groups.length === 0 ? 'none' : groups.join(', ')} request_id=${requestId}`
}
