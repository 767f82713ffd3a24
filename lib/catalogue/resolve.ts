/**
 * From the model a client asks for to the id each upstream takes. Everything is worked out when
 * the configuration is read; a request costs a map lookup, and one more per upstream that only
 * some groups may use. Read by inference and by the lists of models.
 */
import { type AllowList, createAllowList } from './allow-list.ts'
import type { CatalogueConfig, ModelExtension } from './config.ts'
import { capacityOf, createEntries, knownModels } from './entry.ts'
import type { Capacity, CatalogueUpstream, Entry, Listing, Offer } from './entry.ts'
import { createRecogniser } from './recognise.ts'
import { shownModel } from './shown-model.ts'

export interface CatalogueRoute {
  /** Name of the upstream. */
  readonly upstream: string
  /** The id it is sent. */
  readonly model: string
}

export interface Skip {
  readonly upstream: string
  readonly reason: string
}

export type Resolution =
  | {
      readonly kind: 'routes'
      /** In the order of `upstreams`; at least one. */
      readonly routes: readonly CatalogueRoute[]
      readonly skipped: readonly Skip[]
    }
  | {
      readonly kind: 'unknown'
      /** For the client: printable ASCII. */
      readonly message: string
      /** For the operator: each upstream's reason. */
      readonly logText: string
    }

export interface ListedModel extends Listing, Capacity {}

export interface Catalogue {
  /** Routes for `model` as the client spelled it, for a caller in `groups`. */
  resolve(model: string, groups: readonly string[]): Resolution
  /** Models that some upstream may serve for a caller in `groups`, in the order to show them. */
  list(groups: readonly string[]): readonly ListedModel[]
  /**
   * Every other name a model goes by: its own and the ids upstreams are sent for it, whoever
   * asks. For deny lists, which a second spelling must not pass; empty for unknown models.
   */
  namesOf(model: string): readonly string[]
}

/** Groups of somebody whom every upstream serves. */
export function groupsOfAll(upstreams: readonly CatalogueUpstream[]): readonly string[] {
  return upstreams.flatMap(({ groups }) => groups ?? [])
}

/** Longest id looked up; the longest real ones, ARNs, stay far below. */
const idMax = 512

export function createCatalogue(
  upstreams: readonly CatalogueUpstream[],
  config: CatalogueConfig,
  added: readonly ModelExtension[] = [],
): Catalogue {
  const entries = createEntries(upstreams, config, added)
  const bySpelling = indexBySpelling(entries, upstreams)
  const recognise = createRecogniser(knownModels(added))
  const listed = entries.flatMap((entry) =>
    entry.listing === null ? [] : [{ ...entry.listing, ...capacityOf(entry, recognise) }],
  )
  const membership = createMembership(upstreams)
  const unlimited = upstreams.every(({ groups }) => groups === undefined)

  const resolve = (model: string, groups: readonly string[]): Resolution => {
    const resolved = model.length > idMax ? undefined : bySpelling.get(model.toLowerCase())
    if (unlimited && resolved !== undefined && resolved.open.kind === 'routes') return resolved.open
    const usable = membership(groups)
    const offers = resolved?.offers ?? upstreams.map(unknownOffer)
    return settle(
      model,
      offers.filter(({ upstream }) => usable.has(upstream)),
    )
  }
  return {
    resolve,
    list: (groups) => listed.filter(({ id }) => resolve(id, groups).kind === 'routes'),
    namesOf: (model) => bySpelling.get(model.slice(0, idMax).toLowerCase())?.names ?? [],
  }
}

interface Resolved {
  readonly offers: readonly Offer[]
  /** The answer for callers whom no upstream excludes. */
  readonly open: Resolution
  readonly names: readonly string[]
}

function indexBySpelling(
  entries: readonly Entry[],
  upstreams: readonly CatalogueUpstream[],
): ReadonlyMap<string, Resolved> {
  const allowLists = new Map(
    upstreams.map((upstream) => [upstream, createAllowList(upstream.models)]),
  )
  const bySpelling = new Map<string, Resolved>()
  for (const entry of entries) {
    const names = namesOf(entry)
    for (const spelling of entry.spellings) {
      if (bySpelling.has(spelling)) continue
      const offers = entry.offers.map((offer) => restrict(offer, entry, spelling, allowLists))
      bySpelling.set(spelling, { offers, open: settle(spelling, offers), names })
    }
  }
  return bySpelling
}

function namesOf({ model, offers }: Entry): readonly string[] {
  const names = offers.flatMap((offer) => ('model' in offer ? [offer.model] : []))
  return [...new Set(model === null ? names : [model.name, ...names])]
}

function restrict(
  offer: Offer,
  entry: Entry,
  spelling: string,
  allowLists: ReadonlyMap<CatalogueUpstream, AllowList>,
): Offer {
  const { upstream } = offer
  if (!('model' in offer) || allowLists.get(upstream)?.(entry, spelling) !== false) return offer
  return {
    upstream,
    reason: (sent) => `model ${sent} is not served by upstream '${upstream.name}'`,
  }
}

function unknownOffer(upstream: CatalogueUpstream): Offer {
  return { upstream, reason: notListed }
}

function notListed(sent: string): string {
  return `model ${sent} is not in the operator's model allowlist`
}

/** Routes where there are any; else the reasons. */
function settle(model: string, offers: readonly Offer[]): Resolution {
  const routes: CatalogueRoute[] = []
  const skipped: Skip[] = []
  const sent = shownModel(model)
  for (const offer of offers) {
    const upstream = offer.upstream.name
    if ('model' in offer) routes.push({ upstream, model: offer.model })
    else skipped.push({ upstream, reason: offer.reason(sent) })
  }
  if (routes.length > 0) return { kind: 'routes', routes, skipped }
  if (skipped.length === 0) {
    const message = 'no upstream serves any of your groups; ask your administrator for access'
    return { kind: 'unknown', message, logText: 'every upstream is limited to other groups' }
  }
  const logText = skipped.map(({ upstream, reason }) => `${upstream}: ${reason}`).join('; ')
  return { kind: 'unknown', message: notListed(sent), logText }
}

/**
 * Which upstreams a caller's groups may use. Sessions keep one array for as long as they are
 * remembered, so the answer is kept with the array and goes when it goes.
 */
function createMembership(
  upstreams: readonly CatalogueUpstream[],
): (groups: readonly string[]) => ReadonlySet<CatalogueUpstream> {
  const known = new WeakMap<readonly string[], ReadonlySet<CatalogueUpstream>>()
  return (groups) => {
    const remembered = known.get(groups)
    if (remembered !== undefined) return remembered
    const own = new Set(groups)
    const usable = new Set(
      upstreams.filter((upstream) => upstream.groups?.some((group) => own.has(group)) ?? true),
    )
    known.set(groups, usable)
    return usable
  }
}
