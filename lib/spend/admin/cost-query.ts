/**
 * The parameters of the cost report, checked in the order and with the words of the reference.
 * Unlike the other lists it refuses what it does not know: a filter that is silently left out
 * would report somebody else's money.
 */
import { dayMs, startOfDay } from '../period.ts'
import { type Query, refuse } from './query.ts'
import { bindingOf, decodeToken } from './page-token.ts'

const rangeDaysMax = 31
/** Amounts of a day that just ended may still be on their way from a replica. */
const settleMs = 5 * 60_000
const rowsDefault = 20

const perDayOnly = 'the gateway records spend per user per day only'

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
  const starting = readTimestamp('starting_at', query.first('starting_at'))
  if (starting === null) return refuse('starting_at: required')
  const ending = readTimestamp('ending_at', query.first('ending_at'))
  const width = query.word('time_bucket_width', ['1d'], `must be 1d; ${perDayOnly}`)
  if (width !== undefined && ending === null) {
    refuse('ending_at: required when time_bucket_width is set')
  }
  const { startsAt, endsAt } = rangeOf(starting, ending, now)
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
  const settledUntil = startOfDay(now - settleMs)
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
    // Without days all rows are of one time.
    orderBy: orderBy === 'time' && width !== undefined ? 'time' : 'amount',
    order,
    limit,
    from: readPosition(query, binding, isSettled ? null : { startsAt, settledUntil }),
    binding,
  }
}

/** Checked as they are asked for, and counted in whole days: part of a day may be none of it. */
function rangeOf(
  starting: number,
  ending: number | null,
  now: number,
): Pick<CostQuery, 'startsAt' | 'endsAt'> {
  if (starting >= (ending ?? now)) {
    refuse('starting_at: must be before ending_at, which defaults to now')
  }
  const latest = starting + rangeDaysMax * dayMs
  if (ending !== null && ending > latest) {
    refuse(`ending_at: the range may span at most ${rangeDaysMax} days`)
  }
  const tonight = Math.ceil(now / dayMs) * dayMs
  const endsAt = ending ?? (latest < now ? latest : tonight)
  return { startsAt: startOfDay(starting), endsAt: startOfDay(endsAt) }
}

const timestampForm =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

function readTimestamp(name: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const [, date = '', time = '', zone = ''] = timestampForm.exec(text) ?? []
  const ms = Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  if (!Number.isNaN(ms)) return ms
  return refuse(
    `${name}: must be an RFC 3339 timestamp with a time zone offset (Z or ±HH:MM), such as 2026-08-01T00:00:00Z`,
  )
}

/** `open`: the range goes beyond the last day that is settled. */
function readPosition(
  query: Query,
  binding: string,
  open: { readonly startsAt: number; readonly settledUntil: number } | null,
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
  if (open !== null) {
    const until = new Date(open.settledUntil).toISOString().replace('.000', '')
    const shorten = `Start again with ending_at at ${until} or earlier, or read`
    refuse(
      `page: a range that includes today (UTC), or a day that ended less than 5 minutes ago, can't be read in pages, because its amounts are still changing and rows could be skipped or repeated. ${open.startsAt < open.settledUntil ? shorten : 'Read'} the range in one page (limit up to 1000; if it has more rows, split the developers across calls with actor_ids[], up to 100 a call)`,
    )
  }
  return { amount, principal, group, day }
}
