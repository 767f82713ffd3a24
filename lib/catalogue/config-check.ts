/**
 * What the schema of `models` cannot say: names of upstreams and providers that do not exist, and
 * entries that do nothing. Called by the configuration loader.
 */
import type { ConfigReport } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import type { Loose } from '../schema/loose.ts'
import type { CatalogueConfig, ModelExtension } from './config.ts'
import { type CatalogueUpstream, createEntries } from './entry.ts'
import { findIdleModels } from './idle-models.ts'
import { providers } from './models.ts'

/** `names` are those of all upstreams; null while they are in doubt, and then nothing is compared. */
export function checkModels(
  models: Loose<CatalogueConfig['models']> | undefined,
  names: readonly string[] | null,
  report: ConfigReport,
): void {
  const seen = new Map<string, number>()
  for (const [index, model] of (models ?? []).entries()) {
    if (model === undefined) continue
    const earlier = model.id === undefined ? undefined : seen.get(model.id)
    if (earlier !== undefined) {
      report.warn(
        ['models', index, 'id'],
        `is the id of models.${earlier} too; the first one counts`,
      )
    } else if (model.id !== undefined) seen.set(model.id, index)
    for (const [upstream, own] of Object.entries(model.upstream_model ?? {})) {
      const path = ['models', index, 'upstream_model', upstream]
      if (names !== null && !names.includes(upstream)) {
        report.error(path, {
          expected: `the name of an upstream (${names.join(', ')})`,
          found: `the name ${JSON.stringify(upstream)}`,
          nearest: nearest(upstream, names),
        })
      } else if (own === '') report.warn(path, 'is empty, so it maps to nothing')
    }
  }
}

export function checkModelExtensions(
  models: readonly (Loose<ModelExtension> | undefined)[] | undefined,
  report: ConfigReport,
): void {
  for (const [index, model] of (models ?? []).entries()) {
    for (const provider of Object.keys(model?.forms ?? {})) {
      if (providers.some((known) => known === provider)) continue
      report.error(['extensions', 'models', index, 'forms', provider], {
        expected: `a provider (${providers.join(', ')})`,
        found: `the name ${JSON.stringify(provider)}`,
        nearest: nearest(provider, providers),
      })
    }
  }
}

/** Warns about entries of `upstreams[].models` that no model passes by. Needs a sound file. */
export function warnAboutIdleModels(
  upstreams: readonly CatalogueUpstream[],
  config: CatalogueConfig,
  added: readonly ModelExtension[],
  report: ConfigReport,
): void {
  for (const { upstream, entry } of findIdleModels(upstreams, config, added)) {
    report.warn(
      ['upstreams', upstream, 'models', entry],
      'routes nothing: no model that can be asked for is spelled like this',
    )
  }
}

/** Every spelling of a model that can be asked for, and every id an upstream is sent, lower case. */
export function requestableModels(
  upstreams: readonly CatalogueUpstream[],
  config: CatalogueConfig,
  added: readonly ModelExtension[],
): ReadonlySet<string> {
  const spellings = createEntries(upstreams, config, added).flatMap((entry) => [
    ...entry.spellings,
    ...entry.offers.flatMap((offer) => ('model' in offer ? [offer.model.toLowerCase()] : [])),
  ])
  return new Set(spellings)
}
