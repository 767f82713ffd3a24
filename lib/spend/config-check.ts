/**
 * What the schema of `admin`, `enforcement` and `pricing` cannot say: keys that need each other,
 * key ids that must differ, rows for the same model. Called by the configuration loader.
 */
import { createRecogniser, spellingsOf } from '../catalogue/recognise.ts'
import type { Entry } from '../catalogue/entry.ts'
import type { Model } from '../catalogue/models.ts'
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import { isWeakSecret } from '../schema/weak-secret.ts'
import type { AdminConfig, PriceExtension, PriceRow, SpendConfig } from './config.ts'
import { createRateBook, type RateBookConfig } from './rate-book.ts'

export interface SpendSurroundings {
  /** Names of all upstreams; null while they are in doubt. */
  readonly upstreams: readonly string[] | null
  /** Known models, by whose spellings two rows may mean the same. */
  readonly models: readonly Model[]
  readonly hasPolicies: boolean
}

export function checkSpend(
  { admin, enforcement, pricing }: Loose<SpendConfig>,
  around: SpendSurroundings,
  { isSet }: ConfigFacts,
  report: ConfigReport,
): void {
  if (admin !== undefined) checkAdmin(admin, report)
  if (enforcement?.fail_closed_on_error === true && !isSet(['admin'])) {
    report.error(['enforcement', 'fail_closed_on_error'], {
      expected: 'an admin block beside it: without one there are no limits to check',
    })
  }
  if (pricing === undefined) return
  if (!isSet(['admin']) && !around.hasPolicies) {
    report.error(['pricing'], {
      expected: 'an admin block or a policy under managed: without either no price is used',
    })
  }
  if (pricing.multiplier !== undefined && pricing.multiplier > 1) {
    report.warn(['pricing', 'multiplier'], 'is above 1: a mark-up on the list prices')
  }
  checkRows(pricing.overrides ?? [], around, report)
}

/** Two prices of one model: which one counts would be a matter of order. */
export function checkPrices(
  rows: readonly (Loose<PriceExtension> | undefined)[] | undefined,
  models: readonly Model[],
  report: ConfigReport,
): void {
  const earlierRow = createRowMemory(models)
  for (const [index, row] of (rows ?? []).entries()) {
    if (row?.model === undefined) continue
    const earlier = earlierRow('', row.model, index)
    if (earlier === undefined) continue
    report.error(['extensions', 'prices', index, 'model'], {
      expected: `one price for a model; extensions.prices.${earlier} has it already`,
      found: row.model,
    })
  }
}

function checkAdmin(admin: Loose<AdminConfig>, report: ConfigReport): void {
  const lists = ['write_keys', 'read_keys'] as const
  const keys = lists.flatMap((list) =>
    (admin[list] ?? []).map((entry, index) => ({ list, index, id: entry?.id, key: entry?.key })),
  )
  for (const [place, { list, index, id, key }] of keys.entries()) {
    const path = ['admin', list, index]
    const before = keys.slice(0, place)
    const sameId = id === undefined ? undefined : before.find((other) => other.id === id)
    if (sameId !== undefined) {
      report.error([...path, 'id'], {
        expected: 'an id of its own, so that the audit log says whose key it was',
        found: `${JSON.stringify(id)}, which is the id of admin.${sameId.list}.${sameId.index} too`,
      })
    }
    if (key === undefined) continue
    const sameKey = before.find((other) => other.key === key)
    if (sameKey !== undefined && sameKey.list !== list) {
      report.error([...path, 'key'], {
        expected: `another key than that of admin.${sameKey.list}.${sameKey.index}: it would decide by chance who may write`,
      })
    } else if (sameKey !== undefined) {
      report.warn([...path, 'key'], `repeats the key of admin.${list}.${sameKey.index}`)
    }
    if (isWeakSecret(key)) {
      report.warn([...path, 'key'], 'is easy to guess; make one with: openssl rand -hex 32')
    }
  }
}

type Rows = readonly (Loose<PriceRow> | undefined)[]

function checkRows(rows: Rows, around: SpendSurroundings, report: ConfigReport): void {
  const earlierRow = createRowMemory(around.models)
  for (const [index, row] of rows.entries()) {
    if (row?.upstream === undefined) continue
    const path: KeyPath = ['pricing', 'overrides', index]
    checkUpstream(row.upstream, around.upstreams, [...path, 'upstream'], report)
    if (row.model === undefined) continue
    const earlier = earlierRow(row.upstream, row.model, index)
    if (earlier === undefined) continue
    report.error([...path, 'model'], {
      expected: `one row for a model of an upstream; pricing.overrides.${earlier} has it already`,
      found: row.model,
    })
  }
}

/** Remembers rows by upstream and model; answers with the index of an earlier one, if any. */
function createRowMemory(
  models: readonly Model[],
): (upstream: string, model: string, index: number) => number | undefined {
  const recognise = createRecogniser(models)
  const seen = new Map<string, number>()
  return (upstream, model, index) => {
    const key = JSON.stringify([upstream, recognise(model)?.name ?? model.toLowerCase()])
    const earlier = seen.get(key)
    if (earlier === undefined) seen.set(key, index)
    return earlier
  }
}

function checkUpstream(
  name: string,
  names: readonly string[] | null,
  path: KeyPath,
  report: ConfigReport,
): void {
  if (names === null || names.includes(name)) return
  report.error(path, {
    expected: `the name of an upstream (${names.join(', ')})`,
    found: `the name ${JSON.stringify(name)}`,
    nearest: nearest(name, names),
  })
}

/** Warns about rows no request can meet. `requestable` are all ids of the file, in lower case. */
export function warnAboutIdlePrices(
  rows: readonly PriceRow[],
  requestable: ReadonlySet<string>,
  models: readonly Model[],
  report: ConfigReport,
): void {
  const recognise = createRecogniser(models)
  for (const [index, { model }] of rows.entries()) {
    const known = recognise(model)
    const spellings = known === undefined ? new Set([model.toLowerCase()]) : spellingsOf(known)
    if ([...spellings].some((spelling) => requestable.has(spelling))) continue
    report.warn(
      ['pricing', 'overrides', index, 'model'],
      'is the price of a model that nobody can ask for',
    )
  }
}

/** Warns about models that can be asked for and have no price of their own on some upstream. */
export function warnAboutUnpriced(
  entries: readonly Entry[],
  config: RateBookConfig,
  report: ConfigReport,
): void {
  const book = createRateBook(config)
  for (const { listing, model, offers } of entries) {
    const asked = listing?.id ?? model?.name
    if (asked === undefined) continue
    const unpriced = offers.flatMap((offer) => {
      if (!('model' in offer)) return []
      const served = { upstream: offer.upstream.name, sent: offer.model, asked }
      return book.find(served) === null ? [`${served.upstream}: ${served.sent}`] : []
    })
    if (unpriced.length === 0) continue
    report.warn(
      ['extensions', 'prices'],
      `spend meter has no exact rates for ${asked} (${unpriced.join(', ')}): it is metered at the default of unknown models, 5 and 25 USD per million tokens; add a row for it`,
    )
  }
}
