/**
 * Warnings about `oidc.use_proxy` and the proxy variables of the environment: a provider that is
 * reached another way than the operator thinks is found out at the worst moment.
 */
import {
  isEgressBoundary,
  proxyFor,
  proxyVariable,
  readProxies,
} from '../egress/proxy-environment.ts'
import type { ConfigReport } from '../kernel/report.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { OidcConfig } from './config.ts'

export function warnAboutProxy(
  { issuer, use_proxy }: Loose<OidcConfig>,
  { environment, allowLoopback, isSet }: ConfigFacts,
  report: ConfigReport,
): void {
  const proxy = proxyVariable(environment)
  if (use_proxy === true && proxy === undefined) {
    report.warn(
      ['oidc', 'use_proxy'],
      'is on, but HTTPS_PROXY and HTTP_PROXY are not set: the provider is reached directly',
    )
  }
  const { proxies } = readProxies(environment)
  if (proxies === null || isSet(['oidc', 'use_proxy'])) return
  const url = issuer === undefined ? null : URL.parse(issuer)
  if (url === null || proxyFor(url, proxies) === null) return
  // A proxy that is the boundary is gone through without being asked for.
  if (isEgressBoundary(environment, allowLoopback)) return
  report.warn(
    ['oidc', 'issuer'],
    `is reached directly although ${proxy} is set; oidc.use_proxy: true sends it through the proxy, false silences this`,
  )
}
