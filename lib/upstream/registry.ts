/**
 * Every provider there is, by the name the configuration gives it. The composition root makes the
 * upstreams here; a new provider is its own file and one line of `create`.
 */
import type { Egress } from '../egress/egress.ts'
import type { Clock } from '../kernel/clock.ts'
import { createAnthropic } from './anthropic.ts'
import type { LoadTestConfig, RoutingExtensions, UpstreamConfig } from './config.ts'
import { createDiscardingEgress, createLoadTestUpstream } from './load-test.ts'
import type { ProviderDeps, Unserved, Upstream } from './upstream.ts'

function create(deps: ProviderDeps, config: UpstreamConfig): Upstream | Unserved {
  switch (config.provider) {
    case 'anthropic':
      return createAnthropic(deps, config)
    case 'bedrock':
    case 'mantle':
    case 'anthropicAws':
    case 'anthropicGoogleCloud':
    case 'vertex':
    case 'foundry':
      return { unserved: `provider ${config.provider}` }
  }
}

export interface UpstreamsConfig {
  readonly upstreams: readonly UpstreamConfig[]
  readonly timeouts: { readonly upstream_ttfb_ms: number }
  /** While enabled nothing reaches a provider. */
  readonly load_test_mode?: LoadTestConfig | undefined
  readonly extensions?: Pick<RoutingExtensions, 'upstreams'> | undefined
}

export interface Upstreams {
  /** In the configured order. */
  readonly served: readonly Upstream[]
  /** Entries that pass the check but have no code behind them yet. */
  readonly unserved: readonly { readonly name: string; readonly what: string }[]
}

/** Makes the configured upstreams. Sends nothing and checks no credential. */
export function createUpstreams(egress: Egress, clock: Clock, config: UpstreamsConfig): Upstreams {
  const canned = config.load_test_mode?.enabled === true ? config.load_test_mode : null
  const served: Upstream[] = []
  const unserved: { name: string; what: string }[] = []
  for (const entry of config.upstreams) {
    const deps: ProviderDeps = {
      egress: canned === null ? egress : createDiscardingEgress(),
      upstream_ttfb_ms:
        config.extensions?.upstreams[entry.name]?.upstream_ttfb_ms ??
        entry.timeouts.upstream_ttfb_ms ??
        config.timeouts.upstream_ttfb_ms,
    }
    const made = create(deps, entry)
    if ('unserved' in made) unserved.push({ name: entry.name, what: made.unserved })
    else served.push(canned === null ? made : createLoadTestUpstream(made, clock, canned))
  }
  return { served, unserved }
}
