/**
 * What a reply costs: its usage times the rates it is charged at, exactly. Asked once per metered
 * reply, when it is over; pure but for one warning per model without rates of its own.
 */
import type { Log } from '../kernel/log.ts'
import { type Amount, times } from './amount.ts'
import type { Charge, RateBook, Served, Tariff } from './rate-book.ts'
import type { Usage } from './usage.ts'

/** The cost of one reply. */
export type Price = (usage: Usage, served: Served) => Amount

/** Ids warned of. They come from the configuration, so more than this are not warned of. */
const warnedMax = 1000

export function createPrice(book: RateBook, log: Log): Price {
  const warned = new Set<string>()
  const warn = ({ upstream, sent, asked }: Served): void => {
    if (warned.has(sent) || warned.size >= warnedMax) return
    warned.add(sent)
    log.warn(
      `spend meter has no exact rates for model '${sent}' — metering at the unknown-model default tier (upstream ${upstream}, asked for as ${asked}); extensions.prices or pricing.overrides can name them`,
    )
  }
  return (usage, served) => {
    const tariff = book.find(served)
    if (tariff === null) warn(served)
    return priceOf(usage, tariff ?? book.unknown)
  }
}

/** The cost of `usage` at `tariff`. */
export function priceOf(usage: Usage, tariff: Tariff): Amount {
  const charge = chargeFor(usage, tariff)
  const { cache_creation_input_tokens, ephemeral_1h_input_tokens, web_search_requests } = usage
  return (
    times(charge.input, usage.input_tokens) +
    times(charge.output, usage.output_tokens) +
    times(charge.cacheRead, usage.cache_read_input_tokens) +
    times(charge.cacheWrite5m, cache_creation_input_tokens - ephemeral_1h_input_tokens) +
    times(charge.cacheWrite1h, ephemeral_1h_input_tokens) +
    times(tariff.webSearch, web_search_requests)
  )
}

function chargeFor(usage: Usage, { normal, fast, long }: Tariff): Charge {
  if (long !== null) {
    const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage
    const input = input_tokens + cache_read_input_tokens + cache_creation_input_tokens
    if (input > long.above) return long.charge
  }
  return fast !== null && usage.speed === 'fast' ? fast : normal
}
