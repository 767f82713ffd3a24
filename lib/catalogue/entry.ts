/**
 * What can be asked for, before upstreams restrict it: one entry per custom model and per
 * built-in or added one, with the id every upstream would be sent. Called once per configuration
 * by `resolve.ts`.
 */
import type { CatalogueConfig, ModelConfig, ModelExtension } from './config.ts'
import { builtInModels, providers } from './models.ts'
import type { Model, Provider } from './models.ts'
import { createRecogniser, modelOfVersion, spellingsOf, withoutContextMark } from './recognise.ts'
import type { Recogniser } from './recognise.ts'

/** The part of an upstream that decides which models it serves, and to whom. */
export interface CatalogueUpstream {
  readonly name: string
  readonly provider: Provider
  readonly models?: readonly string[] | undefined
  readonly groups?: readonly string[] | undefined
}

/** How one upstream serves an entry: the id it is sent, or why it cannot. */
export type Offer =
  | { readonly upstream: CatalogueUpstream; readonly model: string }
  | { readonly upstream: CatalogueUpstream; readonly reason: (sent: string) => string }

/** A model clients may ask for by any of `spellings`. */
export interface Entry {
  /** Lower case. */
  readonly spellings: ReadonlySet<string>
  /** One per upstream, in their order. */
  readonly offers: readonly Offer[]
  /** The built-in or added model this is, under whatever id; null for a wholly custom one. */
  readonly model: Model | null
  /** How lists show it; null when they don't. */
  readonly listing: Listing | null
}

export interface Listing {
  readonly id: string
  readonly label: string | undefined
  readonly description: string | undefined
}

/** Models a configuration knows, the operator's own rows first: they may correct a built-in. */
export function knownModels(added: readonly ModelExtension[]): readonly Model[] {
  return [...added.map(addedModel), ...builtInModels]
}

function addedModel({ id, forms, max_input_tokens }: ModelExtension): Model {
  const own = providers.flatMap((provider) => {
    const form = forms[provider]
    return form === undefined ? [] : [[provider, form] as const]
  })
  return {
    name: id,
    forms: Object.fromEntries(own),
    listed: true,
    maxInputTokens: max_input_tokens ?? null,
    supports1m: (max_input_tokens ?? 0) >= 1_000_000,
  }
}

/**
 * Entries in the order lists show them: the custom models of the file, then the known ones.
 * Of two entries that claim one spelling, the earlier counts.
 */
export function createEntries(
  upstreams: readonly CatalogueUpstream[],
  config: CatalogueConfig,
  added: readonly ModelExtension[],
): readonly Entry[] {
  const models = knownModels(added)
  const recognise = createRecogniser(models)
  const custom = firstOfEachId(config.models)
  const entries = custom.map((entry) => customEntry(entry, recognise(entry.id), upstreams))
  if (!config.auto_include_builtin_models) return entries

  const shown = new Set(custom.map(({ id }) => id))
  for (const model of models) {
    const id = model.forms.anthropic ?? model.name
    // A custom entry routes its built-in by all its spellings, yet hides only the very same id
    // from the list, as the protocol's clients know it.
    const listing = model.listed && !shown.has(id) ? plainListing(id) : null
    const own = entries.find((entry) => entry.model === model)
    if (own === undefined) entries.push(knownEntry(model, upstreams, listing))
    else if (listing !== null) entries.push({ ...own, spellings: new Set(), listing })
    shown.add(id)
  }
  return entries
}

/** Of several custom models with one id, in whatever case, the first counts. */
function firstOfEachId(models: readonly ModelConfig[]): ModelConfig[] {
  const seen = new Set<string>()
  return models.filter(({ id }) => {
    const key = id.toLowerCase()
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function customEntry(
  { id, label, description, upstream_model }: ModelConfig,
  model: Model | undefined,
  upstreams: readonly CatalogueUpstream[],
): Entry {
  const offers = upstreams.map((upstream): Offer => {
    const { name } = upstream
    const own = Object.hasOwn(upstream_model, name) ? upstream_model[name] : undefined
    // An empty value is a key left blank, not an id.
    if (own !== undefined && own !== '') return { upstream, model: own }
    if (model !== undefined) return offerOf(model, upstream)
    return { upstream, reason: () => `model ${id} has no upstream_model.${name} configured` }
  })
  const spellings = model === undefined ? new Set<string>() : spellingsOf(model)
  spellings.add(id.toLowerCase())
  return { spellings, offers, model: model ?? null, listing: { id, label, description } }
}

function knownEntry(
  model: Model,
  upstreams: readonly CatalogueUpstream[],
  listing: Listing | null,
): Entry {
  const offers = upstreams.map((upstream) => offerOf(model, upstream))
  return { spellings: spellingsOf(model), offers, model, listing }
}

function offerOf(model: Model, upstream: CatalogueUpstream): Offer {
  const form = model.forms[upstream.provider]
  if (form !== undefined) return { upstream, model: form }
  return { upstream, reason: (sent) => `model ${sent} is not available on ${upstream.provider}` }
}

function plainListing(id: string): Listing {
  return { id, label: undefined, description: undefined }
}

/** What lists say of an entry beyond its names. */
export interface Capacity {
  readonly maxInputTokens: number | null
  readonly supports1m: boolean
}

/**
 * The capacity every upstream can keep: the smallest input limit, unknown when one upstream's
 * model is unknown. The long context is offered when every recognised model has it; ids nobody
 * knows (ARNs, deployment names) are taken to be the model they stand for.
 */
export function capacityOf(entry: Entry, recognise: Recogniser): Capacity {
  const served = entry.offers.flatMap((offer) => ('model' in offer ? [offer.model] : []))
  const models = served.map((id) => {
    const plain = withoutContextMark(id)
    return recognise(plain) ?? modelOfVersion(plain) ?? null
  })
  const limits = models.map((model) => model?.maxInputTokens ?? null)
  const known = models.filter((model) => model !== null)
  const itself = entry.model === null ? known.length > 0 : entry.model.supports1m
  const marked = entry.listing !== null && withoutContextMark(entry.listing.id) !== entry.listing.id
  return {
    maxInputTokens: limits.length === 0 ? null : limits.reduce(smallest),
    supports1m: itself && !marked && known.every(({ supports1m }) => supports1m),
  }
}

function smallest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b)
}
