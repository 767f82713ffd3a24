/**
 * Which rates a reply is charged at: the operator's rows for the upstream that served it, then
 * the list price of the model that was sent there, then that of the model the client asked for.
 * Made once per configuration, read once per reply. It must always find something: a model
 * nobody knows is charged like a common one, and the caller is told so.
 */
import type { Model } from '../catalogue/models.ts'
import { listPrices, type Rates, unknownPrice, webSearchPrice } from '../catalogue/prices.ts'
import { createRecogniser, modelVersion } from '../catalogue/recognise.ts'
import { type Amount, amountOf } from './amount.ts'
import type { PriceExtension, PricingConfig } from './config.ts'

/** What one token costs. */
export type Charge = Readonly<Record<keyof Rates, Amount>>

export interface Tariff {
  readonly normal: Charge
  /** For replies served fast; null: they cost the same. */
  readonly fast: Charge | null
  /** For whole requests of more than `above` input tokens; null: they cost the same. */
  readonly long: { readonly charge: Charge; readonly above: number } | null
  readonly webSearch: Amount
}

/** Who answered what. */
export interface Served {
  /** Name of the upstream. */
  readonly upstream: string
  /** The model as it was sent upstream. */
  readonly sent: string
  /** The model as the client asked for it. */
  readonly asked: string
}

export interface RateBook {
  /** The tariff; null when neither string means a model with a price. */
  find(served: Served): Tariff | null
  /** What is charged then. */
  readonly unknown: Tariff
}

export interface RateBookConfig {
  readonly pricing: PricingConfig | undefined
  /** `extensions.prices`. */
  readonly prices: readonly PriceExtension[]
  /** All known models, the operator's own first. */
  readonly models: readonly Model[]
}

/** Rows by the id they are written for, in lower case, and by the model that is. */
interface Rows {
  readonly byId: Map<string, Tariff>
  readonly byModel: Map<string, Tariff>
}

export function createRateBook({ pricing, prices, models }: RateBookConfig): RateBook {
  const names = createNames(models)
  const tariffOf = createTariffs(pricing?.multiplier ?? 1)

  const overrides = new Map<string, Rows>()
  for (const row of pricing?.overrides ?? []) {
    const rows = overrides.get(row.upstream) ?? { byId: new Map(), byModel: new Map() }
    overrides.set(row.upstream, rows)
    const tariff = tariffOf({ ...flat(row), cacheWrite1h: row.cache_write })
    rows.byId.set(row.model.toLowerCase(), tariff)
    const name = names.ofRow(row.model)
    if (name !== undefined) rows.byModel.set(name, tariff)
  }

  const list: Rows = { byId: new Map(), byModel: new Map() }
  for (const { name, ...price } of listPrices) {
    list.byModel.set(names.ofRow(name) ?? name, tariffOf(price))
  }
  for (const row of prices) {
    const tariff = tariffOf({ ...flat(row), cacheWrite1h: row.cache_write_1h ?? row.cache_write })
    const name = names.ofRow(row.model)
    // A price of a model corrects the list; one of a private id must not touch the model it hides.
    if (name === undefined) list.byId.set(row.model.toLowerCase(), tariff)
    else list.byModel.set(name, tariff)
  }

  const findById = ({ byId }: Rows, { sent, asked }: Served): Tariff | undefined =>
    byId.size === 0 ? undefined : (byId.get(sent.toLowerCase()) ?? byId.get(asked.toLowerCase()))
  const findByModel = ({ byModel }: Rows, { sent, asked }: Served): Tariff | undefined =>
    names.find(sent, byModel) ?? names.find(asked, byModel)
  const find = (served: Served): Tariff | null => {
    const own = overrides.get(served.upstream)
    const override = own && (findById(own, served) ?? findByModel(own, served))
    return override ?? findById(list, served) ?? findByModel(list, served) ?? null
  }
  return { unknown: tariffOf(unknownPrice), find: remembering(find) }
}

/** What clients ask for, a few names at a time. They choose them, so there are bounds. */
const rememberedMax = 1000
const rememberedMaxLength = 256

/** Recognising a model is some regular expressions; nearly all replies are those of a few. */
function remembering(find: RateBook['find']): RateBook['find'] {
  const found = new Map<string, { readonly served: Served; readonly tariff: Tariff | null }>()
  return (served) => {
    const known = found.get(served.asked)
    if (known?.served.sent === served.sent && known.served.upstream === served.upstream) {
      return known.tariff
    }
    const tariff = find(served)
    if (served.asked.length > rememberedMaxLength) return tariff
    if (found.size >= rememberedMax) found.clear()
    found.set(served.asked, { served, tariff })
    return tariff
  }
}

function flat({ input, output, cache_read, cache_write }: Omit<PriceExtension, 'model'>) {
  return { input, output, cacheRead: cache_read, cacheWrite5m: cache_write }
}

/** Prices are per 10^6 tokens. */
const perMillion = 6

/** Turns rates into what one token costs, the multiplier on everything. */
function createTariffs(
  multiplier: number,
): (
  price: Rates & { readonly fast?: Rates; readonly long?: Rates & { readonly above: number } },
) => Tariff {
  const token = (usd: number): Amount => amountOf(usd, multiplier, perMillion)
  const chargeOf = (rates: Rates): Charge => ({
    input: token(rates.input),
    output: token(rates.output),
    cacheWrite5m: token(rates.cacheWrite5m),
    cacheWrite1h: token(rates.cacheWrite1h),
    cacheRead: token(rates.cacheRead),
  })
  const webSearch = amountOf(webSearchPrice, multiplier)
  return ({ fast, long, ...normal }) => ({
    normal: chargeOf(normal),
    fast: fast === undefined ? null : chargeOf(fast),
    long: long === undefined ? null : { charge: chargeOf(long), above: long.above },
    webSearch,
  })
}

interface Names {
  /** What a row's `model` names; undefined for an id of somebody's own. */
  ofRow(model: string): string | undefined
  /** The entry of the model that a text is, or holds the name of. */
  find(text: string, byModel: ReadonlyMap<string, Tariff>): Tariff | undefined
}

function createNames(models: readonly Model[]): Names {
  const recognise = createRecogniser(models)
  const nameOf = (model: Model): string => plainVersion(model.name) ?? model.name.toLowerCase()
  return {
    ofRow(model) {
      const known = recognise(model)
      return known === undefined ? plainVersion(model) : nameOf(known)
    },
    find(text, byModel) {
      if (byModel.size === 0) return undefined
      const known = recognise(text)
      const own = known === undefined ? undefined : byModel.get(nameOf(known))
      return own ?? byModel.get(versionIn(text) ?? '')
    },
  }
}

/** `opus-4-8` for any text that holds the name of that model; version 4.0 is 4. */
function versionIn(text: string): string | undefined {
  const version = modelVersion(text)
  if (version === undefined) return undefined
  const { family, major, minor } = version
  return minor === undefined || minor === '0' ? `${family}-${major}` : `${family}-${major}-${minor}`
}

/** The same, for a text that is such a name and nothing else. */
function plainVersion(text: string): string | undefined {
  const version = modelVersion(text)
  if (version === undefined) return undefined
  const { family, major, minor } = version
  const number = minor === undefined ? major : `${major}-${minor}`
  const name = text.toLowerCase()
  const isPlain = name === `claude-${family}-${number}` || name === `claude-${number}-${family}`
  return isPlain ? versionIn(text) : undefined
}
