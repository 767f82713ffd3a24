/**
 * Boot warnings about `managed.policies` as a whole: what boots, but surprises people. Called by
 * the configuration once every single document has passed.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { effectiveSettings } from './effective.ts'
import { createAllowRule, modelKey } from './model-rules.ts'
import { isCatchAll, type JsonObject, type Policy, settingsOf } from './policy.ts'

/** What clients of the level we speak start with when nobody has picked a model. */
const clientDefaultModel = 'claude-opus-4-7'

/**
 * Warns about policies that never match, model lists that lock people out and blocks that do not
 * reach whom they seem to reach. `path` is the place of the list.
 */
export function warnAboutPolicies(
  policies: readonly Policy[],
  path: KeyPath,
  report: ConfigReport,
): void {
  warnAboutOrder(policies, path, report)
  const effective = effectiveSettings(policies)
  for (const [index, policy] of policies.entries()) {
    warnAboutModels(policy, effective[index] ?? {}, index, [...path, index], report)
    warnAboutReach(policy, [...path, index], report)
  }
  if (policies.every(({ desktop }) => desktop === undefined)) {
    report.warn(path, 'holds no desktop block: Claude Desktop gets no configuration from here')
  }
}

function warnAboutOrder(policies: readonly Policy[], path: KeyPath, report: ConfigReport): void {
  const first = policies.findIndex(isCatchAll)
  const after = policies.length - 1 - first
  if (first < 0 || after === 0) return
  const never =
    after === 1 ? 'the policy after it never matches' : `the ${after} after it never match`
  report.warn([...path, first], `is for everybody, so ${never}; move it to the end`)
}

/** Model lists are the one thing the gateway enforces, so here a slip stops people's work. */
function warnAboutModels(
  policy: Policy,
  settings: JsonObject,
  index: number,
  path: KeyPath,
  report: ConfigReport,
): void {
  const { availableModels } = settings
  if (!Array.isArray(availableModels)) return
  const who = `policy ${index} (${describeMatch(policy)})`
  const place = placeOfModels(policy, path)
  if (availableModels.length === 0) {
    report.warn(place, `${who}: availableModels is empty, so every model is refused`)
    return
  }
  const entries = availableModels.filter((entry) => typeof entry === 'string')
  const admits = createAllowRule(entries, settings['availableModelsMatch'] === 'exact')
  const starts =
    typeof settings['model'] === 'string' || settings['enforceAvailableModels'] === true
  if (!starts && !admits(modelKey(clientDefaultModel))) {
    report.warn(
      place,
      `${who}: availableModels leaves out ${clientDefaultModel}, with which clients start; ` +
        'set model or enforceAvailableModels, or people are refused until they pick a model',
    )
  }
}

/** The list itself, or the policy that inherits it. */
function placeOfModels(policy: Policy, path: KeyPath): KeyPath {
  const own = settingsOf(policy)
  return own !== undefined && Object.hasOwn(own, 'availableModels')
    ? [...path, blockName(policy), 'availableModels']
    : path
}

function blockName(policy: Policy): 'code' | 'cli' | 'settings' {
  if (policy.code !== undefined) return 'code'
  return policy.cli === undefined ? 'settings' : 'cli'
}

function warnAboutReach(policy: Policy, path: KeyPath, report: ConfigReport): void {
  const { code, desktop, serve_to_desktop } = policy
  const hasSettings = Object.keys(settingsOf(policy) ?? {}).length > 0
  const place = [...path, blockName(policy)]
  if (code === undefined) {
    if (hasSettings && desktop !== undefined && serve_to_desktop !== false) {
      report.warn(
        place,
        'does not reach the Code tab of a Claude Desktop set up by the desktop block; ' +
          'settings under code do',
      )
    }
    return
  }
  if (hasSettings) {
    report.warn(
      place,
      'reaches the Code tab of Claude Desktop only on machines whose own managed settings have ' +
        'forceLoginGatewayUrl set to this gateway and parentSettingsBehavior set to merge',
    )
  }
  if (serve_to_desktop === false) {
    report.warn([...path, 'serve_to_desktop'], 'has no effect beside code, which is always served')
  }
}

/** For lines that name a policy by whom it is for. */
export function describeMatch({ match }: Policy): string {
  const parts = [
    ...(match?.groups === undefined ? [] : [`groups ${match.groups.join(', ')}`]),
    ...(match?.email_domain === undefined ? [] : [`email_domain ${match.email_domain}`]),
  ]
  return parts.length === 0 ? 'everybody' : parts.join(' and ')
}
