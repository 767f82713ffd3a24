/**
 * Every provider there is, by the name the configuration gives it. The composition root makes the
 * upstreams here; a new provider is its own file and one line of `create`.
 */
import type { Egress } from '../egress/egress.ts'
import { createAnthropic } from './anthropic.ts'
import { createAnthropicAws } from './anthropic-aws.ts'
import { createAnthropicGoogleCloud } from './anthropic-google-cloud.ts'
import { createBedrock } from './bedrock.ts'
import type { LoadTestConfig, RoutingExtensions, UpstreamConfig } from './config.ts'
import { createFoundry } from './foundry.ts'
import { createDiscardingEgress, createLoadTestUpstream } from './load-test.ts'
import { createMantle } from './mantle.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'
import { createVertex } from './vertex.ts'

function create(deps: ProviderDeps, config: UpstreamConfig): Upstream {
  switch (config.provider) {
    case 'anthropic':
      return createAnthropic(deps, config)
    case 'bedrock':
      return createBedrock(deps, config)
    case 'mantle':
      return createMantle(deps, config)
    case 'anthropicAws':
      return createAnthropicAws(deps, config)
    case 'anthropicGoogleCloud':
      return createAnthropicGoogleCloud(deps, config)
    case 'vertex':
      return createVertex(deps, config)
    case 'foundry':
      return createFoundry(deps, config)
  }
}

export interface UpstreamsConfig {
  readonly upstreams: readonly UpstreamConfig[]
  readonly timeouts: { readonly upstream_ttfb_ms: number }
  /** While enabled nothing reaches a provider. */
  readonly load_test_mode?: LoadTestConfig | undefined
  readonly extensions?: Pick<RoutingExtensions, 'upstreams'> | undefined
}

/** The default of `timeouts.upstream_ttfb_ms`: whoever leaves it alone has not set a deadline. */
const defaultTtfbMs = 120_000

/** How long the API itself takes at most for an answer that is not streamed. */
const wholeTtfbMs = 600_000

function deadlinesOf(
  entry: UpstreamConfig,
  { extensions, timeouts }: UpstreamsConfig,
): Pick<ProviderDeps, 'upstream_ttfb_ms' | 'whole_ttfb_ms'> {
  const upstream_ttfb_ms =
    extensions?.upstreams[entry.name]?.upstream_ttfb_ms ??
    entry.timeouts.upstream_ttfb_ms ??
    timeouts.upstream_ttfb_ms
  const isDefault = upstream_ttfb_ms === defaultTtfbMs
  return { upstream_ttfb_ms, whole_ttfb_ms: isDefault ? wholeTtfbMs : upstream_ttfb_ms }
}

/** What the composition root gives every provider. */
export interface UpstreamsParts extends Pick<ProviderDeps, 'egress' | 'clock' | 'log' | 'stsUrl'> {
  /** For all providers but `anthropic`: their own endpoints, which a proxy may resolve. */
  readonly cloudEgress: Egress
}

/** Makes the upstreams in their configured order. Sends nothing and checks no credential. */
export function createUpstreams(
  parts: UpstreamsParts,
  config: UpstreamsConfig,
): readonly Upstream[] {
  const { cloudEgress, ...common } = parts
  const canned = config.load_test_mode?.enabled === true ? config.load_test_mode : null
  return config.upstreams.map((entry) => {
    const egress = entry.provider === 'anthropic' ? parts.egress : cloudEgress
    const deps: ProviderDeps = {
      ...common,
      egress: canned === null ? egress : createDiscardingEgress(egress.fetch),
      ...deadlinesOf(entry, config),
    }
    const made = create(deps, entry)
    return canned === null ? made : createLoadTestUpstream(made, parts.clock, canned)
  })
}
