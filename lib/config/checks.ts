/**
 * The checks between keys and across sections, in one list. Each runs on whatever of the file is
 * sound, so that one report holds every problem; warnings about how parts work together need
 * all of it.
 */
import {
  checkModelExtensions,
  checkModels,
  requestableModels,
  warnAboutIdleModels,
} from '../catalogue/config-check.ts'
import { createEntries, knownModels } from '../catalogue/entry.ts'
import { checkEdge } from '../http/config-check.ts'
import { checkSignIn } from '../identity/config-check.ts'
import type { ConfigReport } from '../kernel/report.ts'
import { checkCri, checkManaged } from '../policy/config-check.ts'
import { warnAboutPolicies } from '../policy/policies-check.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import {
  checkPrices,
  checkSpend,
  warnAboutIdlePrices,
  warnAboutUnpriced,
} from '../spend/config-check.ts'
import { checkStore } from '../store/config-check.ts'
import { checkTelemetry } from '../telemetry/config-check.ts'
import { checkRouting, checkRoutingExtensions, upstreamNames } from '../upstream/config-check.ts'
import type { Config } from './sections.ts'

export function runChecks(config: Loose<Config>, facts: ConfigFacts, report: ConfigReport): void {
  const { extensions, managed, cri, telemetry } = config
  const names = upstreamNames(config.upstreams)
  checkEdge(config, facts, report)
  checkSignIn(config, facts, report)
  checkStore(config.store, report)
  checkRouting(config, facts, report)
  checkModels(config.models, names, report)
  checkSpend(
    config,
    { upstreams: names, models: knownModels([]), hasPolicies: hasPolicies(managed) },
    facts,
    report,
  )
  if (managed !== undefined) checkManaged(managed, allowedSettings(extensions), report)
  if (cri !== undefined) checkCri(cri, facts, report)
  if (telemetry !== undefined) checkTelemetry(telemetry, facts, report)
  if (extensions !== undefined) {
    checkRoutingExtensions(extensions, config.upstreams, report)
    checkModelExtensions(extensions.models, report)
    checkPrices(extensions.prices, knownModels([]), report)
  }
}

/** What boots, but surprises people. Asked only of a file without mistakes. */
export function runWarnings(config: Config, report: ConfigReport): void {
  const { upstreams, managed, telemetry, listen } = config
  warnAboutIdleModels(upstreams, config, config.extensions.models, report)
  warnAboutPrices(config, report)
  const pushes = (telemetry?.forward_to.length ?? 0) > 0 && listen.public_url !== undefined
  if (managed !== undefined) warnAboutPolicies(managed.policies, ['managed', 'policies'], report)
  else if (pushes) {
    report.warn(
      ['telemetry', 'forward_to'],
      'reaches Claude Code only: no policy has a desktop block, so /user/bootstrap answers 404',
    )
  }
}

/** Only where somebody looks at costs: otherwise a guess of them harms nobody. */
function warnAboutPrices(config: Config, report: ConfigReport): void {
  const { upstreams, admin, pricing, extensions } = config
  const models = knownModels(extensions.models)
  if (pricing !== undefined) {
    const requestable = requestableModels(upstreams, config, extensions.models)
    warnAboutIdlePrices(pricing.overrides, requestable, models, report)
  }
  if (admin === undefined && pricing === undefined && extensions.prices.length === 0) return
  const entries = createEntries(upstreams, config, extensions.models)
  warnAboutUnpriced(entries, { pricing, prices: extensions.prices, models }, report)
}

function hasPolicies(managed: Loose<Config['managed']>): boolean {
  return (managed?.policies?.length ?? 0) > 0
}

function allowedSettings(extensions: Loose<Config['extensions']> | undefined): readonly string[] {
  return (extensions?.settings?.allow ?? []).filter((name) => name !== undefined)
}
