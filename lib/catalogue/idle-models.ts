/**
 * Entries of `upstreams[].models` that no model can pass by: most likely misspelled. Asked once
 * when a configuration is checked; nothing is refused for it.
 */
import { createAllowList } from './allow-list.ts'
import type { CatalogueConfig, ModelExtension } from './config.ts'
import { type CatalogueUpstream, createEntries } from './entry.ts'

/** An entry of some `upstreams[].models` that routes nothing there: a likely misspelling. */
export interface IdleModel {
  /** Places in `upstreams` and in its `models`. */
  readonly upstream: number
  readonly entry: number
}

/** Finds entries of `upstreams[].models` that no model of the configuration can pass by. */
export function findIdleModels(
  upstreams: readonly CatalogueUpstream[],
  config: CatalogueConfig,
  added: readonly ModelExtension[] = [],
): readonly IdleModel[] {
  const entries = createEntries(upstreams, config, added)
  return upstreams.flatMap(({ models = [] }, upstream) =>
    models.flatMap((id, entry) => {
      const allows = createAllowList([id])
      const serves = entries.some((candidate) => {
        const offer = candidate.offers[upstream]
        const offered = offer !== undefined && 'model' in offer
        return offered && [...candidate.spellings].some((spelling) => allows(candidate, spelling))
      })
      return serves ? [] : [{ upstream, entry }]
    }),
  )
}
