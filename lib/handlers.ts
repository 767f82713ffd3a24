/**
 * From a checked configuration to the handlers of the route table: the features, each made once,
 * with what they need of each other passed in. The composition root's other half.
 */
import { createCatalogue } from './catalogue/resolve.ts'
import type { Config } from './config.ts'
import type { EnvironmentSettings } from './config/environment.ts'
import { createReadyz, type Readiness } from './http/health.ts'
import type { Identity } from './identity/identity.ts'
import { createInference, type InferenceParts } from './inference.ts'
import type { Clock } from './kernel/clock.ts'
import type { Audit, Log } from './kernel/log.ts'
import { productVersion } from './kernel/version.ts'
import { createModelsHandler } from './models.ts'
import { createLandingPage } from './page/landing.ts'
import { createProtocolPage } from './page/protocol.ts'
import { createModelAccess } from './policy/model-access.ts'
import type { RouteHandlers } from './routes.ts'
import { createMeters } from './spend/meter.ts'
import { createAdmission, defaultBytesMax, defaultOpenMax } from './upstream/admission.ts'
import { createFailover } from './upstream/failover.ts'
import type { Upstreams } from './upstream/registry.ts'

export interface HandlerParts {
  readonly identity: Identity
  readonly upstreams: Upstreams
  readonly readiness: Readiness
  readonly settings: EnvironmentSettings
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

export function createHandlers(config: Config, parts: HandlerParts): RouteHandlers {
  const { identity, readiness } = parts
  const catalogue = createCatalogue(config.upstreams, config, config.extensions.models)
  const access = createModelAccess(config.managed?.policies ?? [], catalogue)
  const inference = createInference({ access, catalogue, ...routing(config, parts) })
  return {
    readyz: createReadyz(readiness),
    landing: createLandingPage({
      version: productVersion,
      public_url: config.listen.public_url,
      issuer: config.oidc.issuer,
    }),
    protocol: createProtocolPage(),
    identity: identity.handlers,
    models: createModelsHandler(catalogue, access),
    messages: inference('messages'),
    countTokens: inference('count_tokens'),
  }
}

function routing(
  config: Config,
  { upstreams, settings, clock, log, audit }: HandlerParts,
): Omit<InferenceParts, 'access' | 'catalogue'> {
  const openMax = settings.openRequestsMax
  return {
    admission: createAdmission(
      {
        openMax: openMax ?? defaultOpenMax,
        bytesMax: defaultBytesMax,
        isConfigured: openMax !== undefined,
      },
      clock,
      log,
    ),
    failover: createFailover({ clock, log, configured: config.upstreams.length }),
    upstreams: new Map(upstreams.served.map((upstream) => [upstream.name, upstream])),
    openMeter: createMeters(log),
    loadTest: config.load_test_mode?.enabled === true,
    clock,
    log,
    audit,
  }
}
