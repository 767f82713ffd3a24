/**
 * Every provider there is, by the name the configuration gives it. The composition root makes the
 * upstreams here; a new provider is its own file and one line of this table.
 */
import type { Egress } from '../egress/egress.ts'
import type { Clock } from '../kernel/clock.ts'
import { createAnthropic, type AnthropicConfig } from './anthropic.ts'
import type { CannedReply } from './canned-reply.ts'
import { createDiscardingEgress, createLoadTestUpstream } from './load-test.ts'
import type { ProviderDeps, Upstream } from './upstream.ts'

/** One entry of `upstreams`. */
export type UpstreamConfig = AnthropicConfig & {
  readonly timeouts?: { readonly upstream_ttfb_ms?: number | undefined } | undefined
}

const providers = {
  anthropic: createAnthropic,
} satisfies Record<string, (deps: ProviderDeps, config: UpstreamConfig) => Upstream>

export interface UpstreamsConfig {
  readonly upstreams: readonly UpstreamConfig[]
  readonly upstream_ttfb_ms: number
  /** Present while load is tested: nothing then reaches a provider. */
  readonly load_test_mode?: CannedReply | undefined
}

/** The configured upstreams, in their order. Sends nothing and checks no credential. */
export function createUpstreams(
  egress: Egress,
  clock: Clock,
  { upstreams, upstream_ttfb_ms, load_test_mode }: UpstreamsConfig,
): Upstream[] {
  return upstreams.map((config) => {
    const deps: ProviderDeps = {
      egress: load_test_mode === undefined ? egress : createDiscardingEgress(),
      upstream_ttfb_ms: config.timeouts?.upstream_ttfb_ms ?? upstream_ttfb_ms,
    }
    const upstream = providers[config.provider](deps, config)
    return load_test_mode === undefined
      ? upstream
      : createLoadTestUpstream(upstream, clock, load_test_mode)
  })
}
