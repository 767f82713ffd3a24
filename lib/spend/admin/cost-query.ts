/**
 * Reads the parameters of the cost report. Unlike the rest of the API it knows every parameter it
 * takes and refuses others, because a filter that is ignored makes a wrong report. Pure.
 */
import { createHash } from 'node:crypto'
import { invalid } from './answer.ts'
import { readLimit, storable } from './query.ts'

export interface CostQuery {
  /** UTC midnights, milliseconds; the end is exclusive. */
  readonly startsAt: number
  readonly endsAt: number
  readonly daily: boolean
  readonly byActor: boolean
  readonly byGroup: boolean
  readonly actorIds: readonly string[] | null
  readonly groupIds: readonly string[] | null
  readonly order: 'amount' | 'time'
  readonly ascending: boolean
  readonly limit: number
  readonly after: CostCursor | null
  /** Of all parameters but `limit` and `page`: a cursor is good for its own question only. */
  readonly hash: string
}

/** The last row of a page: amount, principal, group, day, and the hash of the question. */
export interface CostCursor {
  readonly c: string
  readonly p: string
  readonly g: string
  readonly d: string
}

const parameters = [
  'starting_at',
  'ending_at',
  'time_bucket_width',
  'group_by[]',
  'actor_ids[]',
  'actor_types[]',
  'rbac_group_ids[]',
  'exclude_deleted_users',
  'order_by',
  'order',
  'limit',
  'page',
] as const

const dayMs = 86_400_000
const daysMax = 31
/** Amounts of a day that ended less than this ago may still arrive. */
const settleMs = 5 * 60_000

export function readCostQuery(query: URLSearchParams, nowMs: number): CostQuery {
  for (const name of query.keys()) {
    if (!parameters.some((known) => known === name)) {
      invalid(
        `${name}: not a parameter of the gateway's cost report, which takes ${parameters.join(', ')}`,
      )
    }
  }
  const { startsAt, endsAt } = readRange(query, nowMs)
  const width = query.get('time_bucket_width')
  if (width !== null && width !== '1d') {
    invalid('time_bucket_width: must be 1d; the gateway records spend per user per day only')
  }
  const groupBy = readGroupBy(query)
  readActorTypes(query)
  readExcludeDeleted(query, groupBy.byActor)
  const orderBy = query.get('order_by') ?? 'amount'
  if (!['amount', 'list_amount', 'time'].includes(orderBy)) {
    invalid('order_by: must be amount, list_amount or time')
  }
  const order = query.get('order') ?? 'desc'
  if (order !== 'asc' && order !== 'desc') invalid('order: must be asc or desc')
  const limit = readLimit(query, 1000)
  const asked = {
    startsAt,
    endsAt,
    daily: width !== null,
    ...groupBy,
    actorIds: readList(query, 'actor_ids[]'),
    groupIds: readList(query, 'rbac_group_ids[]'),
    order: orderBy === 'time' ? 'time' : 'amount',
    ascending: order === 'asc',
  } as const
  const hash = createHash('sha256').update(JSON.stringify(asked)).digest('base64url')
  const after = readCursor(query.get('page'), hash)
  if (after !== null) refuseUnsettled(endsAt, nowMs)
  return { ...asked, limit, after, hash }
}

export function writeCostCursor(cursor: CostCursor, hash: string): string {
  return Buffer.from(JSON.stringify({ ...cursor, q: hash })).toString('base64url')
}

/** `2026-11-22T00:00:00Z`, without milliseconds. */
export function midnight(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

function readRange(query: URLSearchParams, nowMs: number): { startsAt: number; endsAt: number } {
  const starting = query.get('starting_at')
  if (starting === null) return invalid('starting_at: required')
  const startsAt = floorDay(readTimestamp('starting_at', starting))
  const ending = query.get('ending_at')
  if (ending === null) {
    const tonight = floorDay(nowMs) + dayMs
    if (startsAt >= tonight) refuseOrder()
    return { startsAt, endsAt: Math.min(tonight, startsAt + daysMax * dayMs) }
  }
  const endsAt = floorDay(readTimestamp('ending_at', ending))
  if (startsAt >= endsAt) refuseOrder()
  if (endsAt - startsAt > daysMax * dayMs) invalid('ending_at: the range may span at most 31 days')
  return { startsAt, endsAt }
}

function refuseOrder(): never {
  return invalid('starting_at: must be before ending_at, which defaults to now')
}

function floorDay(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs
}

/** RFC 3339, with seconds and an offset. */
const timestamp = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

function readTimestamp(name: string, value: string): number {
  const ms = timestamp.test(value) ? Date.parse(value.toUpperCase()) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  return invalid(
    `${name}: must be an RFC 3339 timestamp with a time zone offset (Z or ±HH:MM), such as 2026-08-01T00:00:00Z`,
  )
}

function readGroupBy(query: URLSearchParams): { byActor: boolean; byGroup: boolean } {
  const given = query.getAll('group_by[]')
  if (given.some((name) => name !== 'actor' && name !== 'rbac_group_id')) {
    invalid(
      'group_by[]: must be actor or rbac_group_id; the gateway records spend per user per day only',
    )
  }
  return { byActor: given.includes('actor'), byGroup: given.includes('rbac_group_id') }
}

function readActorTypes(query: URLSearchParams): void {
  if (query.getAll('actor_types[]').some((type) => type !== 'user_actor')) {
    invalid('actor_types[]: must be user_actor, the only kind of actor a gateway has')
  }
}

/** The gateway deletes nobody, so there is nothing to exclude; the parameter is checked all the same. */
function readExcludeDeleted(query: URLSearchParams, byActor: boolean): void {
  const given = query.get('exclude_deleted_users')
  if (given === null) return
  if (given !== 'true' && given !== 'false') invalid('exclude_deleted_users: must be true or false')
  if (given === 'true' && !byActor) invalid('exclude_deleted_users: requires group_by[]=actor')
}

/** Ids in one call; the text of the paging refusal promises as many. */
const idsMax = 100

function readList(query: URLSearchParams, name: string): readonly string[] | null {
  const given = query.getAll(name).map(storable)
  if (given.length > idsMax) invalid(`${name}: at most ${idsMax} in one request`)
  return given.length === 0 ? null : [...new Set(given)].toSorted()
}

function readCursor(page: string | null, hash: string): CostCursor | null {
  if (page === null) return null
  try {
    const value: unknown = JSON.parse(Buffer.from(page, 'base64url').toString('utf8'))
    if (isCursor(value) && value.q === hash && /^-?\d+(\.\d+)?$/.test(value.c)) {
      const { c, p, g, d } = value
      return { c, p: storable(p), g: storable(g), d: storable(d) }
    }
  } catch {
    // Answered below.
  }
  return invalid(
    "page: invalid page token, one from a request with other parameters, or one made before the range's last day was over; start again without page",
  )
}

function isCursor(value: unknown): value is CostCursor & { readonly q: string } {
  if (typeof value !== 'object' || value === null) return false
  const fields: Readonly<Record<string, unknown>> = { ...value }
  return ['c', 'p', 'g', 'd', 'q'].every((name) => typeof fields[name] === 'string')
}

function refuseUnsettled(endsAt: number, nowMs: number): void {
  if (endsAt <= nowMs - settleMs) return
  const settled = midnight(floorDay(nowMs - settleMs))
  invalid(
    `page: a range that includes today (UTC), or a day that ended less than 5 minutes ago, can't be read in pages, because its amounts are still changing and rows could be skipped or repeated. Start again with ending_at at ${settled} or earlier, or read the range in one page (limit up to 1000; if it has more rows, split the developers across calls with actor_ids[], up to 100 a call)`,
  )
}
