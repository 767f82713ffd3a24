/**
 * Everything that is made of one configuration and replaced with it: the ways out, sign-in,
 * upstreams and the routes. A generation answers the requests that reach it
 * until the last one is over, and then gives back what it holds; `gateway.ts` owns what outlives it.
 */
import { type Catalogue, groupsOfAll } from './catalogue/resolve.ts'
import type { Config } from './config.ts'
import type { EnvironmentSettings } from './config/environment.ts'
import { createEgresses } from './egress/purpose.ts'
import { createHandlers } from './handlers.ts'
import { createAccessControl, createPublicClientNotice } from './http/access-control.ts'
import { type ClientAddressReader, createClientAddressReader } from './http/client-address.ts'
import { createEdge, type Edge } from './http/edge.ts'
import type { Readiness } from './http/health.ts'
import { createLimitCheck } from './http/limits.ts'
import { createRouter } from './http/router.ts'
import { createIdentity } from './identity/identity.ts'
import type { Clock } from './kernel/clock.ts'
import type { Audit, Log } from './kernel/log.ts'
import type { Observers } from './metrics/families.ts'
import { createRoutes } from './routes.ts'
import type { Spend } from './spend/spend.ts'
import type { Database } from './store/database.ts'
import type { Tap } from './stream/tap.ts'
import type { TelemetryRelay } from './telemetry/relay.ts'
import type { Admission } from './upstream/admission.ts'
import { createInputCounter } from './upstream/count-input.ts'
import { createUpstreams } from './upstream/registry.ts'

/** What a generation shares with the ones before and after it. */
export interface Lasting {
  readonly settings: EnvironmentSettings
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  readonly database: Database
  /** Null without `admin`. */
  readonly spend: Spend | null
  readonly admission: Admission
  readonly readiness: Readiness
  readonly telemetry: TelemetryRelay
  /** Null without `extensions.metrics`. */
  readonly observers: Observers | null
}

export interface Generation {
  readonly config: Config
  readonly edge: Edge
  readonly clientAddress: ClientAddressReader
  /** Whether `model` is one that this configuration knows, however it is spelled. */
  knows(model: string): boolean
  /** How many sessions are revoked that would not have ended yet. */
  revokedSessions(): number
  /** Loads the identity provider's metadata; rejects with one line for the operator. */
  discover(): Promise<void>
  /** Loads what needs the database. Before it, it answers nobody. */
  start(): Promise<void>
  /** Settles when no request is open any more. */
  idle(): Promise<void>
  /** Waits for what follows a reply. */
  finish(): Promise<void>
  close(): Promise<void>
}

export function createGeneration(config: Config, lasting: Lasting): Generation {
  const { settings, clock, log, audit, database, observers } = lasting
  const egresses = createEgresses({ ...settings, clock }, config.oidc)
  const identity = createIdentity(
    {
      ...config,
      public_url: config.listen.public_url,
      tls: config.listen.tls !== undefined,
      billing_group_tag: config.admin?.billing_group_tag,
    },
    {
      ...lasting,
      ...database,
      egress: egresses.provider,
      google: { egress: egresses.directory },
      revocation: database,
    },
  )
  const reach = { egress: egresses.upstream, cloudEgress: egresses.cloud, stsUrl: settings.stsUrl }
  const upstreams = createUpstreams({ ...reach, clock, log }, config)
  const counter = createInputCounter({ upstreams, clock, log })
  const made = { egress: egresses.service, identity, upstreams, counter }
  const { store } = database
  const handlers = createHandlers(config, { ...lasting, ...made, store })
  const edge = createEdge({
    router: createRouter(createRoutes(handlers)),
    access: createAccessControl(config.access_control, audit),
    noticePublicClient: createPublicClientNotice(audit, log),
    checkLimits: createLimitCheck(config.limits),
    authenticate: (exchange) => identity.authenticate(exchange),
    observe: observers?.request,
  })
  const requests = countOpen(edge)
  return {
    config,
    edge: requests.counted,
    clientAddress: createClientAddressReader(config.listen.trusted_proxies, log),
    knows: rememberKnown(handlers.catalogue, groupsOfAll(config.upstreams)),
    revokedSessions: () => identity.revokedSessions(),
    discover: () => identity.ready(),
    start: () => identity.start(),
    idle: () => requests.idle(),
    finish: () => counter.idle(),
    async close() {
      identity.close()
      await Promise.all(upstreams.map((upstream) => upstream.close()))
      await egresses.close()
    },
  }
}

/** A name longer than this is nobody's; and a piece of a long text would keep all of it. */
const rememberedLengthMax = 200
/** Clients spell the few models there are in few ways. */
const rememberedMax = 1000

/** What is known once is known until the configuration is replaced; asked for each call. */
function rememberKnown(
  catalogue: Catalogue,
  groups: readonly string[],
): (model: string) => boolean {
  const known = new Set<string>()
  return (model) => {
    if (known.has(model)) return true
    if (catalogue.resolve(model, groups).kind !== 'routes') return false
    if (model.length <= rememberedLengthMax && known.size < rememberedMax) known.add(model)
    return true
  }
}

/** Counts requests from their arrival to the end of their reply. */
function countOpen(edge: Edge): { readonly counted: Edge; idle(): Promise<void> } {
  let open = 0
  const waiting = new Set<() => void>()
  const leave = (): void => {
    open -= 1
    if (open > 0) return
    for (const resolve of waiting) resolve()
    waiting.clear()
  }
  const leaving: Tap = { name: 'generation', settle: leave }
  return {
    async counted(exchange) {
      open += 1
      try {
        const reply = await edge(exchange)
        const { taps } = reply
        return { ...reply, taps: taps === undefined ? [leaving] : [...taps, leaving] }
      } catch (error) {
        leave()
        throw error
      }
    },
    idle: () =>
      open === 0 ? Promise.resolve() : new Promise((resolve) => void waiting.add(resolve)),
  }
}
