/**
 * Warnings about `oidc.use_proxy` and the proxy variables of the environment: a provider that is
 * reached another way than the operator thinks is found out at the worst moment.
 */
import type { ConfigReport, Environment } from '../kernel/report.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { OidcConfig } from './config.ts'

export function warnAboutProxy(
  { issuer, use_proxy }: Loose<OidcConfig>,
  { environment, isSet }: ConfigFacts,
  report: ConfigReport,
): void {
  const proxy = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].find(
    (name) => (environment[name] ?? '') !== '',
  )
  if (use_proxy === true && proxy === undefined) {
    report.warn(
      ['oidc', 'use_proxy'],
      'is on, but HTTPS_PROXY and HTTP_PROXY are not set: the provider is reached directly',
    )
  }
  if (proxy === undefined || isSet(['oidc', 'use_proxy'])) return
  const host = issuer === undefined ? undefined : URL.parse(issuer)?.hostname
  if (host === undefined || isExempt(host, environment)) return
  report.warn(
    ['oidc', 'issuer'],
    `is reached directly although ${proxy} is set; oidc.use_proxy: true sends it through the proxy, false silences this`,
  )
}

/** `NO_PROXY` names the host or a domain around it. */
function isExempt(host: string, environment: Environment): boolean {
  const list = environment['NO_PROXY'] ?? environment['no_proxy'] ?? ''
  return list
    .split(',')
    .map((entry) =>
      entry
        .trim()
        .toLowerCase()
        .replace(/^\*?\./, ''),
    )
    .some(
      (entry) => entry === '*' || (entry !== '' && (host === entry || host.endsWith(`.${entry}`))),
    )
}
