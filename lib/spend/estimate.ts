/**
 * The most a call may cost, for `extensions.spend.reserve`: all of its input as the dearest kind,
 * every output token the client allows, every web search it may make. Too high by far for most
 * calls (text has some three bytes a token, and most of it is read from the cache), which only
 * means that a nearly spent cap is approached by fewer calls at a time: one is always let in.
 */
import { type Amount, times } from './amount.ts'
import type { InputBound } from './input-bound.ts'
import type { Charge, RateBook, Served, Tariff } from './rate-book.ts'

export interface Estimated {
  readonly input: InputBound
  /** `max_tokens` as sent; anything but a number of at least 1 counts as `outputMax`. */
  readonly maxTokens: unknown
  /** Every upstream that may serve the call. */
  readonly routes: readonly Served[]
}

/** No model writes more in one answer. */
const outputMax = 128_000

export function estimate({ input, maxTokens, routes }: Estimated, book: RateBook): Amount {
  const isUsable = typeof maxTokens === 'number' && maxTokens >= 1
  const output = isUsable ? Math.min(Math.ceil(maxTokens), outputMax) : outputMax
  return largest(routes.map((route) => dearest(book.find(route) ?? book.unknown, input, output)))
}

function dearest(
  { normal, fast, long, webSearch }: Tariff,
  { tokens, searches }: InputBound,
  output: number,
): Amount {
  const isLong = long !== null && tokens > long.above
  const charges = [normal, ...(fast === null ? [] : [fast]), ...(isLong ? [long.charge] : [])]
  const text = charges.map(
    (charge) => times(inputOf(charge), tokens) + times(charge.output, output),
  )
  return largest(text) + times(webSearch, searches)
}

function inputOf({ input, cacheWrite5m, cacheWrite1h, cacheRead }: Charge): Amount {
  return largest([input, cacheWrite5m, cacheWrite1h, cacheRead])
}

/** Of amounts that are never negative. */
function largest(amounts: readonly Amount[]): Amount {
  return amounts.reduce((max, amount) => (amount > max ? amount : max), 0n)
}
