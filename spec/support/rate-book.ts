/** A rate book of a small configuration, for specs of prices. */
import { knownModels } from '../../lib/catalogue/entry.ts'
import type { ModelExtension } from '../../lib/catalogue/config.ts'
import type { PriceExtension, PriceRow } from '../../lib/spend/config.ts'
import { createRateBook, type RateBook } from '../../lib/spend/rate-book.ts'

interface Prices {
  readonly multiplier?: number
  readonly overrides?: readonly PriceRow[]
  readonly prices?: readonly PriceExtension[]
  readonly models?: readonly ModelExtension[]
}

export function bookOf(config: Prices = {}): RateBook {
  const { multiplier = 1, overrides = [], prices = [], models = [] } = config
  return createRateBook({
    pricing: { multiplier, overrides },
    prices,
    models: knownModels(models),
  })
}

/** A price whose rates are `input` times 1, 2, 3 and 4, so that a case shows which row it met. */
export function priceRow(model: string, input: number): PriceExtension {
  return { model, input, output: input * 2, cache_read: input * 3, cache_write: input * 4 }
}

/** The same as a row of `pricing.overrides`. */
export function override(upstream: string, model: string, input: number): PriceRow {
  return { upstream, ...priceRow(model, input) }
}
