/**
 * What the schema of `managed` and `cri` cannot say: blocks that exclude each other, the
 * documents inside a policy, and addresses. Called by the configuration loader.
 */
import { checkHost } from '../egress/config.ts'
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { isHttpUrl } from '../schema/address.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { CriConfig, PolicyConfig } from './config.ts'
import { checkDesktopDocument } from './desktop-check.ts'
import type { Policy } from './policy.ts'
import { checkSettingsDocument } from './settings-check.ts'

type Policies = readonly (Loose<Policy> | undefined)[]

/** `allowed` is `extensions.settings.allow`. */
export function checkManaged(
  managed: Loose<NonNullable<PolicyConfig['managed']>>,
  allowed: readonly string[],
  report: ConfigReport,
): void {
  const policies = managed.policies ?? []
  for (const [index, policy] of policies.entries()) {
    const path = ['managed', 'policies', index]
    for (const name of ['cli', 'settings', 'code'] as const) {
      const document = policy?.[name]
      if (document !== undefined) checkSettingsDocument(document, [...path, name], allowed, report)
    }
    if (policy?.desktop !== undefined) {
      checkDesktopDocument(policy.desktop, [...path, 'desktop'], report)
    }
  }
  checkNames(policies, report)
}

/** `code` and `cli` are served to different programs: mixed, nobody could say who gets what. */
function checkNames(policies: Policies, report: ConfigReport): void {
  const firstCode = policies.findIndex((policy) => policy?.code !== undefined)
  if (firstCode === -1) return
  for (const [index, policy] of policies.entries()) {
    for (const name of ['cli', 'settings'] as const) {
      if (policy?.[name] === undefined) continue
      const expected =
        policy.code === undefined
          ? `code in every policy, as in managed.policies.${firstCode}, or ${name} in all of them`
          : `either code or ${name} in one policy`
      report.error(['managed', 'policies', index, name], { expected })
    }
  }
}

export function checkCri(cri: Loose<CriConfig>, facts: ConfigFacts, report: ConfigReport): void {
  const path = (...keys: string[]): KeyPath => ['cri', ...keys]
  checkSafeUrl(cri.issuer, path('issuer'), facts, report)
  checkSafeUrl(cri.jwks_url, path('jwks_url'), facts, report)
  checkSafeUrl(cri.policy?.webhook?.url, path('policy', 'webhook', 'url'), facts, report)
  if (cri.issuer !== undefined && /[?#]|\/$/.test(cri.issuer)) {
    report.error(path('issuer'), {
      expected: 'a URL without query, fragment or trailing slash, as it stands in the tokens',
    })
  }
  if (cri.enabled !== true) {
    report.warn(path(), 'does nothing while cri.enabled is not true')
    return
  }
  for (const name of ['audience', 'org_allowlist'] as const) {
    if (cri[name]?.length === 0) {
      report.error(path(name), { expected: 'at least one entry while cri.enabled is true' })
    }
  }
  report.warn(
    path('enabled'),
    'customer-routed callers are not supported: their tokens are refused, only the webhook is used',
  )
}

/** https, or http on loopback, and no host that may not be connected to. */
function checkSafeUrl(
  text: string | undefined,
  path: KeyPath,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  if (text === undefined) return
  const url = isHttpUrl(text) ? URL.parse(text) : null
  const safe =
    url !== null &&
    (url.protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname))
  if (safe) checkHost(text, path, facts, report)
  else report.error(path, { expected: 'an https:// URL, or http:// on loopback' })
}
