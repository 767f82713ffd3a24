/**
 * The parameters of the cost report, checked in the order and with the words of the reference.
 * Unlike the other lists it refuses what it does not know: a filter that is silently left out
 * would report somebody else's money.
 */
import { type Query, refuse } from './query.ts'
import { bindingOf, decodeToken } from './page-token.ts'

const dayMs = 86_400_000
const rangeDaysMax = 31
/** Amounts of a day that just ended may still be on their way from a replica. */
const settleMs = 5 * 60_000
const rowsDefault = 20

const known = [
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
]

const invalidToken =
  "page: invalid page token, one from a request with other parameters, or one made before the range's last day was over; start again without page"

export interface CostQuery {
  /** UTC midnights, milliseconds; the end is exclusive. */
  readonly startsAt: number
  readonly endsAt: number
  readonly isDaily: boolean
  readonly byActor: boolean
  readonly byGroup: boolean
  /** Null: everybody's. */
  readonly actorIds: readonly string[] | null
  readonly groupIds: readonly string[] | null
  readonly orderBy: 'amount' | 'time'
  readonly order: 'asc' | 'desc'
  readonly limit: number
  readonly from: CostPosition | null
  readonly binding: string
}

/** The last row of the page before. */
export interface CostPosition {
  /** Cents with six decimals. */
  readonly amount: string
  /** Empty when rows are not by actor, or by group. */
  readonly principal: string
  readonly group: string
  /** First day of the row, `2026-11-27`. */
  readonly day: string
}

export function readCostQuery(query: Query, now: number): CostQuery {
  for (const name of query.names) {
    if (!known.includes(name)) {
      refuse(
        `${name.slice(0, 100)}: not a parameter of the gateway's cost report, which takes ${known.join(', ')}`,
      )
    }
  }
  const { startsAt, endsAt } = readRange(query, now)
  const perDayOnly = 'the gateway records spend per user per day only'
  const width = query.word('time_bucket_width', ['1d'], `must be 1d; ${perDayOnly}`)
  const groupBy = query.all('group_by[]')
  for (const name of groupBy) {
    if (name !== 'actor' && name !== 'rbac_group_id') {
      refuse(`group_by[]: must be actor or rbac_group_id; ${perDayOnly}`)
    }
  }
  const byActor = groupBy.includes('actor')
  const actorIds = query.all('actor_ids[]')
  const groupIds = query.all('rbac_group_ids[]')
  if (query.all('actor_types[]').some((type) => type !== 'user_actor')) {
    refuse('actor_types[]: must be user_actor, the only kind of actor a gateway has')
  }
  const limit = query.limit(rowsDefault)
  const order = query.word('order', ['asc', 'desc'], 'must be asc or desc') ?? 'desc'
  const orderBy = query.word(
    'order_by',
    ['amount', 'list_amount', 'time'],
    'must be amount, list_amount or time',
  )
  const excludes = query.word('exclude_deleted_users', ['true', 'false'], 'must be true or false')
  if (excludes === 'true' && !byActor) refuse('exclude_deleted_users: requires group_by[]=actor')
  const settledUntil = Math.floor((now - settleMs) / dayMs) * dayMs
  const isSettled = endsAt <= settledUntil
  const binding = bindingOf(JSON.stringify([query.identity, startsAt, endsAt, isSettled]))
  return {
    startsAt,
    endsAt,
    isDaily: width !== undefined,
    byActor,
    byGroup: groupBy.includes('rbac_group_id'),
    actorIds: actorIds.length > 0 ? actorIds : null,
    groupIds: groupIds.length > 0 ? groupIds : null,
    orderBy: orderBy === 'time' ? 'time' : 'amount',
    order,
    limit,
    from: readPosition(query, binding, isSettled ? null : settledUntil),
    binding,
  }
}

function readRange(query: Query, now: number): Pick<CostQuery, 'startsAt' | 'endsAt'> {
  const starting = query.first('starting_at') ?? refuse('starting_at: required')
  const startsAt = dayOf(readTimestamp('starting_at', starting))
  const ending = query.first('ending_at')
  const latest = startsAt + rangeDaysMax * dayMs
  const today = Math.ceil(now / dayMs) * dayMs
  const endsAt =
    ending === undefined ? Math.min(today, latest) : dayOf(readTimestamp('ending_at', ending))
  if (startsAt >= endsAt) refuse('starting_at: must be before ending_at, which defaults to now')
  if (endsAt > latest) refuse(`ending_at: the range may span at most ${rangeDaysMax} days`)
  return { startsAt, endsAt }
}

function dayOf(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs
}

const timestampForm =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

function readTimestamp(name: string, text: string): number {
  const [, date = '', time = '', zone = ''] = timestampForm.exec(text) ?? []
  const ms = Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  if (!Number.isNaN(ms)) return ms
  return refuse(
    `${name}: must be an RFC 3339 timestamp with a time zone offset (Z or ±HH:MM), such as 2026-08-01T00:00:00Z`,
  )
}

/** `openSince` is the end of the last settled day when the range goes beyond it. */
function readPosition(
  query: Query,
  binding: string,
  openSince: number | null,
): CostPosition | null {
  const page = query.first('page')
  if (page === undefined) return null
  const { c: amount, p: principal, g: group, d: day, q } = decodeToken(page) ?? {}
  const isWhole =
    typeof amount === 'string' &&
    /^-?\d{1,30}\.\d{6}$/.test(amount) &&
    typeof principal === 'string' &&
    typeof group === 'string' &&
    typeof day === 'string'
  if (!isWhole || q !== binding) return refuse(invalidToken)
  if (openSince !== null) {
    const until = new Date(openSince).toISOString().replace('.000', '')
    refuse(
      `page: a range that includes today (UTC), or a day that ended less than 5 minutes ago, can't be read in pages, because its amounts are still changing and rows could be skipped or repeated. Start again with ending_at at ${until} or earlier, or read the range in one page (limit up to 1000; if it has more rows, split the developers across calls with actor_ids[], up to 100 a call)`,
    )
  }
  return { amount, principal, group, day }
}
