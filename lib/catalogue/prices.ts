/**
 * List prices: one row per model, every tier it has. Data only; `lib/spend/rate-book.ts` turns it
 * into amounts. A new model is one row here, or one entry of `extensions.prices`.
 *
 * Source: what gateway 2.1.330 charged for replies of known usage, 22 November 2026. All in USD
 * per million tokens.
 */

/** USD per million tokens. */
export interface Rates {
  readonly input: number
  readonly output: number
  /** Written to the prompt cache for five minutes. */
  readonly cacheWrite5m: number
  /** Written to the prompt cache for an hour. */
  readonly cacheWrite1h: number
  readonly cacheRead: number
}

export interface ListPrice extends Rates {
  /** As `models.ts` spells it. */
  readonly name: string
  /** For replies that say they were served fast. */
  readonly fast?: Rates
  /** For a whole request whose input, cache reads and writes included, is above `above` tokens. */
  readonly long?: Rates & { readonly above: number }
}

/** USD for one web search, whichever model asked for it. */
export const webSearchPrice = 0.01

/** A row of the table: input, output, cache writes for five minutes and an hour, cache reads. */
function rates(
  input: number,
  output: number,
  cacheWrite5m: number,
  cacheWrite1h: number,
  cacheRead: number,
): Rates {
  return { input, output, cacheWrite5m, cacheWrite1h, cacheRead }
}

const fable = rates(10, 50, 12.5, 20, 1)
const opus = rates(5, 25, 6.25, 10, 0.5)
const firstOpus = rates(15, 75, 18.75, 30, 1.5)
const sonnet = rates(3, 15, 3.75, 6, 0.3)

// Measured were input and output; of the cache it is assumed that it costs the same share of
// input as at normal speed.
const fastOpusOfOld = rates(30, 150, 37.5, 60, 3)
const fastOpus = rates(10, 50, 12.5, 20, 1)

/** For models that no row is about. */
export const unknownPrice: Rates = opus

export const listPrices: readonly ListPrice[] = [
  { name: 'claude-3-5-haiku', ...rates(0.8, 4, 1, 1.6, 0.08) },
  { name: 'claude-3-5-sonnet', ...sonnet },
  { name: 'claude-3-7-sonnet', ...sonnet },
  { name: 'claude-sonnet-4', ...sonnet },
  { name: 'claude-sonnet-4-5', ...sonnet },
  { name: 'claude-sonnet-4-6', ...sonnet },
  { name: 'claude-sonnet-5', ...rates(2, 10, 2.5, 4, 0.2) },
  { name: 'claude-sonnet-5-5', ...rates(2, 10, 2.5, 4, 0.1) },
  { name: 'claude-haiku-4-5', ...rates(1, 5, 1.25, 2, 0.1) },
  {
    name: 'claude-haiku-5-5',
    ...rates(0.1, 0.5, 0.125, 0.2, 0.01),
    long: { above: 100_000, ...rates(0.5, 2.5, 0.625, 1, 0.05) },
  },
  { name: 'claude-opus-4', ...firstOpus },
  { name: 'claude-opus-4-1', ...firstOpus },
  { name: 'claude-opus-4-5', ...opus },
  { name: 'claude-opus-4-6', ...opus, fast: fastOpusOfOld },
  { name: 'claude-opus-4-7', ...opus, fast: fastOpusOfOld },
  { name: 'claude-opus-4-8', ...opus, fast: fastOpus },
  { name: 'claude-opus-5', ...opus, fast: fastOpus },
  { name: 'claude-opus-5-5', ...rates(4, 20, 5, 8, 0.2), fast: rates(8, 40, 10, 16, 0.4) },
  { name: 'claude-fable-5', ...fable },
  { name: 'claude-fable-5-1', ...rates(10, 50, 12.5, 20, 0.25) },
  { name: 'claude-fable-5-2', ...rates(8, 40, 10, 16, 0.2), fast: rates(16, 80, 20, 32, 0.4) },
  // Not in the catalogue, yet priced. Measured were the inputs and the first one's output; the
  // rest follows the usual shares: output 5, cache writes 1.25 and 2, cache reads 0.1 of input.
  { name: 'claude-mythos-5', ...fable },
  { name: 'claude-mythos-5-1', ...fable },
  { name: 'claude-mythos-5-2', ...rates(8, 40, 10, 16, 0.8) },
]
