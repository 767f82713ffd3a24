/**
 * `GET …/spend_limits/effective`: for each principal and period the cap that holds and what was
 * spent. A page costs as many look-ups as it has principals, however many there are in all.
 */
import type { Queryable, Store } from '../../store/store.ts'
import type { AdminConfig } from '../config.ts'
import { type PeriodName, periodNames, type Periods } from '../period.ts'
import { adminStoreTimeoutMs } from './change-limits.ts'
import { centsText, groupList } from './format.ts'
import type { ScopeType } from './limit-request.ts'
import { bindingOf, decodeToken, encodeToken } from './page-token.ts'
import { type Query, refuse } from './query.ts'
import { scopeOf } from './spend-limit.ts'

/** Principals of a page, as on the reference. */
const principalsDefault = 20

interface EffectiveQuery {
  readonly limit: number
  readonly periods: readonly PeriodName[]
  readonly isSorted: boolean
  readonly userIds: readonly string[]
  /** Null: everybody. */
  readonly search: string | null
  readonly from: Position | null
  readonly binding: string
}

/** The last principal of the page before. */
interface Position {
  readonly principal: string
  /** Only in a sorted list. */
  readonly cents: number | null
}

export async function listEffective(
  store: Store,
  query: Query,
  { periods, mode }: { readonly periods: Periods; readonly mode: AdminConfig['group_limit_mode'] },
): Promise<object> {
  const asked = readEffectiveQuery(query)
  const [sortedPeriod = 'monthly'] = asked.periods
  return store.transaction(
    async (tx) => {
      const found =
        asked.userIds.length > 0
          ? asked.userIds.map((principal) => ({ principal, cents: null }))
          : await findPrincipals(tx, asked, periods[sortedPeriod].key)
      const isLast = asked.userIds.length > 0 || found.length <= asked.limit
      const page = isLast ? found : found.slice(0, asked.limit)
      const people = await describe(
        tx,
        page.map(({ principal }) => principal),
        asked.periods.map((name) => periods[name].key),
        mode,
      )
      const data = people.flatMap((person) =>
        asked.periods.map((name) => effectiveRow(person, name, periods[name].key)),
      )
      return { data, next_page: isLast ? null : nextPage(asked, page.at(-1)) }
    },
    { timeoutMs: adminStoreTimeoutMs },
  )
}

export function readEffectiveQuery(query: Query): EffectiveQuery {
  const limit = query.limit(principalsDefault)
  const userIds = query.all('user_ids[]')
  const given = query
    .all('period[]')
    .map(
      (text) =>
        periodNames.find((name) => name === text) ??
        refuse(`period[]: must be one of ${periodNames.join(', ')}`),
    )
  const periods = given.length === 0 ? periodNames : [...new Set(given)]
  const isSorted = query.word('sort', ['spend_desc'], 'must be spend_desc') !== undefined
  if (isSorted && (given.length === 0 || periods.length !== 1)) {
    refuse('sort=spend_desc requires exactly one period[]')
  }
  const search = query.first('q') ?? ''
  const binding = bindingOf(query.identity)
  const page = query.first('page')
  // People who are named make one page, whatever token comes with them.
  const isPaged = page !== undefined && userIds.length === 0
  const from = isPaged ? readPosition(page, isSorted, binding) : null
  return { limit, periods, isSorted, userIds, search: search || null, from, binding }
}

/** Tokens of the reference have no binding; they go on as they did there. */
function readPosition(page: string, isSorted: boolean, binding: string): Position {
  const { p: principal, c: cents, s, q = binding } = decodeToken(page) ?? {}
  const isOfSorted = s === true && typeof cents === 'number'
  if (typeof principal !== 'string' || isOfSorted !== isSorted || q !== binding) {
    return refuse('page: invalid page token')
  }
  return { principal, cents: isOfSorted ? cents : null }
}

function nextPage(asked: EffectiveQuery, last: Position | undefined): string | null {
  if (last === undefined) return null
  const { principal: p, cents: c } = last
  return encodeToken({ p, ...(asked.isSorted && { c, s: true }), q: asked.binding })
}

/** At most one more than fits on the page. */
async function findPrincipals(
  tx: Queryable,
  asked: EffectiveQuery,
  periodKey: string,
): Promise<readonly Position[]> {
  const { isSorted, search, from, limit } = asked
  const values = new Parameters()
  const count = values.add(limit + 1)
  const sql = isSorted
    ? sortedSql(values, periodKey, search, from, count)
    : unsortedSql(values, search, from, count)
  const { rows } = await tx.query<Position>(sql, values.list)
  return rows
}

class Parameters {
  readonly list: unknown[] = []

  /** The placeholder of a value. */
  add(value: unknown): string {
    this.list.push(value)
    return `$${this.list.length}`
  }
}

/**
 * Everybody with spend, in order: from one to the next by the index, past all the rows each of
 * them has. Read only as far as the page needs.
 */
function walkSql(values: Parameters, from: Position | null): string {
  const start = from === null ? '' : `WHERE principal > ${values.add(from.principal)}`
  return `
    WITH RECURSIVE walk (principal) AS (
      (SELECT principal FROM spend ${start} ORDER BY principal LIMIT 1)
      UNION ALL
      SELECT (SELECT next.principal FROM spend AS next WHERE next.principal > walk.principal
              ORDER BY next.principal LIMIT 1)
      FROM walk WHERE walk.principal IS NOT NULL)`
}

function unsortedSql(
  values: Parameters,
  search: string | null,
  from: Position | null,
  count: string,
): string {
  const match = search === null ? '' : `AND ${matchSql(values.add(search))}`
  return `
    ${walkSql(values, from)}
    SELECT s.principal, NULL::float8 AS cents FROM walk AS s
    WHERE s.principal IS NOT NULL ${match} LIMIT ${count}`
}

function sortedSql(
  values: Parameters,
  periodKey: string,
  search: string | null,
  from: Position | null,
  count: string,
): string {
  const cents = from === null ? '' : values.add(from.cents)
  const start =
    from === null
      ? ''
      : `AND s.cents <= ${cents}
         AND (s.cents < ${cents} OR s.principal > ${values.add(from.principal)})`
  const match = search === null ? '' : `AND ${matchSql(values.add(search))}`
  return `
    SELECT s.principal, s.cents FROM spend AS s
    WHERE s.period = ${values.add(periodKey)} ${start} ${match}
    ORDER BY s.cents DESC, s.principal LIMIT ${count}`
}

/** Literal text: no character of a search has a meaning. One look-up for each candidate. */
function matchSql(search: string): string {
  const finds = (text: string): string => `strpos(lower(${text}), lower(${search}::text)) > 0`
  return `(${finds('s.principal')} OR EXISTS (
    SELECT 1 FROM principal_emails AS e
    WHERE e.principal = s.principal AND (${finds('e.email')} OR ${finds('e.name')})))`
}

interface Person {
  readonly id: string
  readonly email: string | null
  readonly name: string | null
  readonly groups: readonly string[]
  readonly caps: readonly {
    readonly period: PeriodName
    readonly amount: string | null
    readonly scope_type: ScopeType
    readonly scope_id: string
    readonly id: string
  }[]
  readonly spent: Readonly<Record<string, number>>
}

/** In the order of `principals`, repeated ones too. */
async function describe(
  tx: Queryable,
  principals: readonly string[],
  keys: readonly string[],
  mode: string,
): Promise<readonly Person[]> {
  const { rows } = await tx.query<Person>(
    `SELECT p.id, e.email, e.name, known.groups, caps.list AS caps, used.list AS spent
     FROM unnest($1::text[]) WITH ORDINALITY AS p(id, place)
     LEFT JOIN principal_emails AS e ON e.principal = p.id
     CROSS JOIN LATERAL (
       SELECT ARRAY(SELECT jsonb_array_elements_text(
         ${groupList('e.groups')})) AS groups
     ) AS known
     CROSS JOIN LATERAL (
       SELECT coalesce(jsonb_agg(jsonb_build_object('period', cap.period,
         'amount', cap.amount::text, 'scope_type', cap.scope_type, 'scope_id', cap.scope_id,
         'id', cap.id)), '[]') AS list
       FROM caps_by_period(p.id, known.groups, $3) AS cap
     ) AS caps
     CROSS JOIN LATERAL (
       SELECT coalesce(jsonb_object_agg(s.period, s.cents), '{}') AS list
       FROM spend AS s WHERE s.principal = p.id AND s.period = ANY ($2::text[])
     ) AS used
     ORDER BY p.place`,
    [principals, keys, mode],
  )
  return rows
}

function effectiveRow(person: Person, period: PeriodName, key: string): object {
  const cap = person.caps.find((candidate) => candidate.period === period)
  return {
    scope: scopeOf('user', person.id),
    groups: person.groups,
    actor: {
      type: 'user_actor',
      user_id: person.id,
      name: person.name,
      email_address: person.email,
      deleted: false,
    },
    amount: cap?.amount ?? null,
    currency: 'USD',
    period,
    source: cap === undefined ? null : scopeOf(cap.scope_type, cap.scope_id),
    spend_limit_id: cap?.id ?? null,
    period_to_date_spend: centsText(person.spent[key] ?? 0),
  }
}
