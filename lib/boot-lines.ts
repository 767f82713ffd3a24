/**
 * What the log says once the gateway listens: what it is, where it is, and the settings an
 * operator looks for first. The substrings that scripts of the reference wait for stay.
 */
import type { Config } from './config.ts'
import type { EnvironmentSettings } from './config/environment.ts'
import { proxyFor } from './egress/proxy-environment.ts'
import { productVersion } from './kernel/version.ts'
import type { ForwardConfig } from './telemetry/config.ts'
import { defaultOpenMax } from './upstream/admission.ts'

/** Lines at level info, in order; `port` is the one really bound. */
export function describeBoot(
  config: Config,
  settings: EnvironmentSettings,
  port: number,
): readonly string[] {
  const { listen, oidc, upstreams, managed, telemetry } = config
  const scheme = listen.tls === undefined ? 'http' : 'https'
  const openMax = settings.openRequestsMax
  return [
    `apps gateway ${productVersion}: holds provider credentials; keep it inside your network, never on the open internet`,
    `apps gateway listening on ${scheme}://${bracketed(listen.host)}:${port}`,
    `public_url ${listen.public_url ?? '(none: taken from the Host header, loopback only)'}`,
    listen.trusted_proxies.length === 0
      ? 'client IPs: TCP peer address (listen.trusted_proxies empty)'
      : `client IPs: X-Forwarded-For via listen.trusted_proxies (${listen.trusted_proxies.length} entries)`,
    `oidc issuer ${oidc.issuer}`,
    `email domains ${listed(oidc.allowed_email_domains)}`,
    `allowed groups ${listed(oidc.allowed_groups)}`,
    `upstreams ${upstreams.length}: ${upstreams.map(({ name, provider }) => `${name}(${provider})`).join(', ')}`,
    telemetryLine(telemetry?.forward_to ?? []),
    `managed settings: ${managed === undefined ? 'not configured' : 'configured'}`,
    ...describeNetwork(settings, oidc),
    openMax === undefined
      ? `upstream requests: at most ${defaultOpenMax} at once per process`
      : `upstream requests: at most ${openMax} at once per process (BUN_CONFIG_MAX_HTTP_REQUESTS)`,
  ]
}

function telemetryLine(destinations: readonly ForwardConfig[]): string {
  if (destinations.length === 0) return 'telemetry relay: not configured'
  const signals = (['metrics', 'logs', 'traces'] as const).filter((signal) =>
    destinations.some((destination) => destination[signal]),
  )
  return `telemetry relay: ${destinations.length} destination(s), signals enabled: ${signals.join(',')}`
}

/** Only where there is a proxy. Its credentials are no part of its label. */
function describeNetwork(
  { proxies, proxyIsEgressBoundary }: EnvironmentSettings,
  { issuer, use_proxy }: Config['oidc'],
): string[] {
  if (proxies === null) return []
  const { https, http, exemptions } = proxies
  const labels = [...new Set([https, http].flatMap((proxy) => proxy?.label ?? []))].join(', ')
  if (proxyIsEgressBoundary) {
    return [
      `network: proxy-only egress, host names go unresolved to ${labels} (CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY)`,
    ]
  }
  const provider = use_proxy === true ? proxyFor(new URL(issuer), proxies) : null
  return [
    `forward proxy ${labels}, NO_PROXY has ${exemptions.length} entries`,
    ...(provider === null
      ? []
      : [
          `oidc: IdP requests use proxy ${provider.host}:${provider.port}; hosts in NO_PROXY go direct`,
        ]),
  ]
}

function listed(entries: readonly string[] | undefined): string {
  return entries === undefined || entries.length === 0 ? '(unrestricted)' : entries.join(',')
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
