/**
 * The ways in which things leave the gateway, one `Egress` for each purpose: what is resolved
 * here, what a proxy resolves, what goes past it, whose authorities are trusted. The composition
 * root makes them once. Which purpose has which way is decided here and nowhere else.
 */
import { createEgress, type EgressOptions } from './dispatcher.ts'
import type { Egress } from './egress.ts'
import type { Proxies } from './proxy-environment.ts'

export interface EgressSettings extends Pick<EgressOptions, 'allowLoopback' | 'clock' | 'resolve'> {
  readonly proxies: Proxies | null
  /** Host names go to the proxy unresolved: it decides what may be reached. */
  readonly proxyIsEgressBoundary: boolean
}

/** Of `oidc`. */
export interface ProviderSettings {
  readonly use_proxy?: boolean | undefined
  readonly ca_cert_pem?: string | undefined
}

export interface Egresses {
  /** The API itself, or what stands for it: resolved and checked here, then through the proxy. */
  readonly upstream: Egress
  /** Clouds' own endpoints, whose names a proxy may resolve. */
  readonly cloud: Egress
  /**
   * Collectors and the webhook: as `upstream`, but plain http, which is for services beside the
   * gateway, takes `HTTP_PROXY` alone.
   */
  readonly service: Egress
  /** The OpenID provider: past the proxy unless `use_proxy`, with its own authorities. */
  readonly provider: Egress
  /** What belongs to sign-in, but is a public service: as the provider, with the usual trust. */
  readonly directory: Egress
  close(): Promise<void>
}

export function createEgresses(
  { proxies, proxyIsEgressBoundary, ...base }: EgressSettings,
  { use_proxy, ca_cert_pem }: ProviderSettings,
): Egresses {
  const isBoundary = proxies !== null && proxyIsEgressBoundary
  const resolvedBy = isBoundary ? 'proxy' : 'here'
  // Behind a boundary nothing else leads outside, so only a word of the operator's goes past it.
  const viaProxy = isBoundary ? use_proxy !== false : use_proxy === true
  const signIn = { ...base, proxies: viaProxy ? proxies : null, resolvedBy } as const
  const upstream = createEgress({ ...base, proxies, resolvedBy })
  const service = createServiceEgress({ ...base, proxies, proxyIsEgressBoundary })
  const cloud = createEgress({ ...base, proxies, resolvedBy: 'proxy' })
  const directory = createEgress(signIn)
  const provider =
    ca_cert_pem === undefined ? directory : createEgress({ ...signIn, ca: ca_cert_pem })
  return {
    upstream,
    cloud,
    service,
    provider,
    directory,
    async close() {
      await Promise.all(
        [...new Set([upstream, cloud, service, provider, directory])].map((one) => one.close()),
      )
    },
  }
}

/** `Egresses.service` alone: it depends on the environment only, so that it outlives a reload. */
export function createServiceEgress({
  proxies,
  proxyIsEgressBoundary,
  ...base
}: EgressSettings): Egress {
  const isBoundary = proxies !== null && proxyIsEgressBoundary
  const resolvedBy = isBoundary ? 'proxy' : 'here'
  return createEgress({ ...base, proxies, resolvedBy, choice: isBoundary ? 'any' : 'own' })
}
