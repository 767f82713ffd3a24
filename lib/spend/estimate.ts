/**
 * The most a call may be expected to cost, for `extensions.spend.reserve`: every byte of the body
 * priced as the dearest kind of input, and every output token the client allows. Too high by far
 * for most calls, which only means that a nearly spent cap is approached one call at a time.
 */
import { type Amount, times } from './amount.ts'
import type { Charge, RateBook, Served, Tariff } from './rate-book.ts'

export interface Estimated {
  readonly bodyBytes: number
  /** `max_tokens` as sent; anything but a number of at least 1 counts as `outputMax`. */
  readonly maxTokens: unknown
  /** Every upstream that may serve the call. */
  readonly routes: readonly Served[]
}

/** Text of any language has at least three bytes for each token; images have far more. */
const bytesPerToken = 3
/** No model writes more in one answer. */
const outputMax = 128_000

export function estimate({ bodyBytes, maxTokens, routes }: Estimated, book: RateBook): Amount {
  const isUsable = typeof maxTokens === 'number' && maxTokens >= 1
  const output = isUsable ? Math.min(Math.ceil(maxTokens), outputMax) : outputMax
  const input = Math.ceil(bodyBytes / bytesPerToken)
  return largest(routes.map((route) => dearest(book.find(route) ?? book.unknown, input, output)))
}

function dearest({ normal, fast, long }: Tariff, input: number, output: number): Amount {
  const charges = [
    normal,
    ...(fast === null ? [] : [fast]),
    ...(long === null ? [] : [long.charge]),
  ]
  return largest(
    charges.map((charge) => times(inputOf(charge), input) + times(charge.output, output)),
  )
}

function inputOf({ input, cacheWrite5m, cacheWrite1h }: Charge): Amount {
  return largest([input, cacheWrite5m, cacheWrite1h])
}

/** Of amounts that are never negative. */
function largest(amounts: readonly Amount[]): Amount {
  return amounts.reduce((max, amount) => (amount > max ? amount : max), 0n)
}
