/**
 * From a checked configuration to the handlers of the route table: the features, each made once,
 * with what they need of each other passed in. The composition root's other half.
 */
import { knownModels } from './catalogue/entry.ts'
import { type Catalogue, createCatalogue, groupsOfAll } from './catalogue/resolve.ts'
import type { Config } from './config.ts'
import type { CallerHandler } from './http/exchange.ts'
import { createReadyz, type Readiness } from './http/health.ts'
import type { Egress } from './egress/egress.ts'
import type { Identity } from './identity/identity.ts'
import { createInference, type InferenceParts } from './inference.ts'
import type { Clock } from './kernel/clock.ts'
import type { Audit, Log } from './kernel/log.ts'
import { productVersion } from './kernel/version.ts'
import type { Observers } from './metrics/families.ts'
import { createModelsHandler } from './models.ts'
import { createLandingPage } from './page/landing.ts'
import { createProtocolPage } from './page/protocol.ts'
import { createBootstrap } from './policy/bootstrap.ts'
import { createManagedSettings } from './policy/managed-settings.ts'
import { createModelAccess, type ModelAccess } from './policy/model-access.ts'
import { modelPricing } from './policy/model-pricing.ts'
import type { JsonObject } from './policy/policy.ts'
import { telemetryEnv } from './policy/telemetry-env.ts'
import { createPolicyWebhook, type PolicyWebhook } from './policy/webhook.ts'
import type { RouteHandlers } from './routes.ts'
import { type AdminHandlers, createAdmin } from './spend/admin/admin.ts'
import { estimate } from './spend/estimate.ts'
import { openGate, type SpendGate } from './spend/gate.ts'
import { inputBound } from './spend/input-bound.ts'
import { createMeters } from './spend/meter.ts'
import { createPrice } from './spend/price.ts'
import { createRateBook, type RateBook } from './spend/rate-book.ts'
import type { Spend } from './spend/spend.ts'
import { createUsageReport } from './spend/usage-report.ts'
import type { Store } from './store/store.ts'
import type { TelemetryRelay } from './telemetry/relay.ts'
import type { Admission } from './upstream/admission.ts'
import type { InputCounter } from './upstream/count-input.ts'
import { type Attempt, createFailover } from './upstream/failover.ts'
import { createHealth } from './upstream/health.ts'
import type { Upstream } from './upstream/upstream.ts'

export interface HandlerParts {
  /** For addresses that the operator names. */
  readonly egress: Egress
  readonly identity: Identity
  readonly upstreams: readonly Upstream[]
  readonly telemetry: TelemetryRelay
  /** Null without `admin`. */
  readonly spend: Spend | null
  readonly counter: InputCounter
  readonly store: Store
  readonly readiness: Readiness
  readonly admission: Admission
  /** Null without `extensions.metrics`. */
  readonly observers: Observers | null
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

export function createHandlers(
  config: Config,
  parts: HandlerParts,
): RouteHandlers & { readonly catalogue: Catalogue } {
  const { identity, readiness } = parts
  const policy = createPolicyHandlers(config, parts)
  const { catalogue, access } = policy
  const inference = createInference({
    access,
    catalogue,
    webhook: webhookOf(config, parts),
    ...routing(config, parts),
  })
  return {
    catalogue,
    readyz: createReadyz(readiness),
    landing: createLandingPage({
      version: productVersion,
      public_url: config.listen.public_url,
      issuer: config.oidc.issuer,
    }),
    protocol: createProtocolPage(),
    identity: identity.handlers,
    models: createModelsHandler(catalogue, access),
    managedSettings: policy.managedSettings,
    bootstrap: policy.bootstrap,
    messages: inference('messages'),
    countTokens: inference('count_tokens'),
    telemetry: parts.telemetry.handlers,
    usage: createUsageReport(parts, config.admin),
    admin: adminOf(config, parts),
  }
}

export interface PolicyHandlers {
  readonly catalogue: Catalogue
  readonly access: ModelAccess
  readonly managedSettings: CallerHandler
  readonly bootstrap: CallerHandler
}

/** What depends on policies and the catalogue alone: needs no network, so `explain` asks it too. */
export function createPolicyHandlers(
  config: Config,
  { log, audit }: Pick<HandlerParts, 'log' | 'audit'>,
): PolicyHandlers {
  const { upstreams, extensions, managed, listen, telemetry, admin } = config
  const catalogue = createCatalogue(upstreams, config, extensions.models)
  const access = createModelAccess(managed?.policies ?? [], catalogue)
  const env = telemetryEnv(telemetry, listen.public_url)
  const pushed = { catalogue, access, log, audit }
  return {
    catalogue,
    access,
    managedSettings: createManagedSettings(pushed, {
      policies: managed?.policies,
      env,
      modelPricing: pushedPricing(config, catalogue),
    }),
    bootstrap: createBootstrap(pushed, {
      policies: managed?.policies ?? [],
      publicUrl: listen.public_url ?? `http://localhost:${listen.port}`,
      telemetryLabels: env === null ? null : (telemetry?.resource_attributes ?? {}),
      adminGroups: admin?.admin_groups ?? [],
    }),
  }
}

/** Prices are pushed per model, from the upstream that is asked first whoever asks. */
function pushedPricing(config: Config, catalogue: Catalogue): JsonObject | null {
  const everyGroup = groupsOfAll(config.upstreams)
  return modelPricing(config.pricing, knownModels(config.extensions.models), (model) => {
    const resolution = catalogue.resolve(model, everyGroup)
    return resolution.kind === 'routes' ? resolution.routes[0]?.upstream : undefined
  })
}

function webhookOf({ cri }: Config, parts: HandlerParts): PolicyWebhook | null {
  const webhook = cri?.enabled === true ? cri.policy.webhook : undefined
  return webhook === undefined ? null : createPolicyWebhook(parts, webhook)
}

function rateBookOf({ pricing, extensions: { prices, models } }: Config): RateBook {
  return createRateBook({ pricing, prices, models: knownModels(models) })
}

function adminOf({ admin }: Config, parts: HandlerParts): AdminHandlers | null {
  const { spend, identity } = parts
  if (admin === undefined || spend === null) return null
  return createAdmin(
    {
      ...parts,
      verifySession: (exchange) => identity.identify(exchange),
      capsChanged: (revision) => spend.capsChanged(revision),
    },
    admin,
  )
}

/** A status, or how the try ended without one. */
function observeAttempt({ upstream, result, ms }: Attempt, observers: Observers): void {
  const how = result.kind === 'answered' ? String(result.answer.status) : result.kind
  observers.attempt(upstream.name, how, ms)
}

function gateOf(config: Config, spend: Spend | null): SpendGate {
  const { admin, enforcement, extensions } = config
  if (spend === null || admin === undefined) return openGate
  return spend.gate({ admin, ...enforcement, reserve: extensions.spend.reserve })
}

function routing(
  config: Config,
  { upstreams, spend, counter, admission, observers, clock, log, audit }: HandlerParts,
): Omit<InferenceParts, 'access' | 'catalogue' | 'webhook'> {
  const book = rateBookOf(config)
  const health = config.extensions.upstream_health
  return {
    admission,
    failover: createFailover({
      clock,
      log,
      configured: config.upstreams.length,
      health: health === undefined ? undefined : createHealth(clock, log, health),
      ...(observers === null ? {} : { observe: (attempt) => observeAttempt(attempt, observers) }),
    }),
    upstreams: new Map(upstreams.map((upstream) => [upstream.name, upstream])),
    openMeter: createMeters(log),
    price: createPrice(book, log),
    spend: gateOf(config, spend),
    countInput: counter.count,
    watchAnswer: observers?.answer,
    estimate: (body, routes) =>
      estimate({ input: inputBound(body), maxTokens: body.value('max_tokens'), routes }, book),
    billingTag: config.admin?.billing_group_tag,
    loadTest: config.load_test_mode?.enabled === true,
    clock,
    log,
    audit,
  }
}
