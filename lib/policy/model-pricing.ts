/**
 * The prices clients show their users, out of the operator's price rows. Only what clients can
 * really be charged is told: per model the row of the upstream that is asked first. Pure.
 */
import { createRecogniser } from '../catalogue/recognise.ts'
import type { Model } from '../catalogue/models.ts'
import type { JsonObject } from './policy.ts'

/** `pricing`, USD per million tokens. */
export interface PushedPricing {
  readonly multiplier: number
  readonly overrides: readonly {
    readonly upstream: string
    readonly model: string
    readonly input: number
    readonly output: number
    readonly cache_read: number
    readonly cache_write: number
  }[]
}

/**
 * The `modelPricing` setting, or null when it would say nothing. `firstUpstream` names the
 * upstream asked first for a model, whoever asks; undefined for models nobody can ask for.
 */
export function modelPricing(
  pricing: PushedPricing | undefined,
  models: readonly Model[],
  firstUpstream: (model: string) => string | undefined,
): JsonObject | null {
  if (pricing === undefined) return null
  const recognise = createRecogniser(models)
  const overrides = new Map<string, JsonObject>()
  for (const row of pricing.overrides) {
    if (firstUpstream(row.model) !== row.upstream) continue
    const model = recognise(row.model)
    const name = model === undefined ? row.model : (model.forms.anthropic ?? model.name)
    if (overrides.has(name)) continue
    const { input, output, cache_read: cacheRead, cache_write: cacheWrite } = row
    overrides.set(name, { input, output, cacheRead, cacheWrite })
  }
  if (pricing.multiplier === 1 && overrides.size === 0) return null
  return {
    ...(pricing.multiplier === 1 ? {} : { multiplier: pricing.multiplier }),
    ...(overrides.size === 0 ? {} : { overrides: Object.fromEntries(overrides) }),
  }
}
