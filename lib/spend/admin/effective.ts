/**
 * `GET …/spend_limits/effective`: for each principal and period the cap that holds and what was
 * spent. A page costs as many look-ups as it has principals, however many there are in all.
 */
import type { Queryable, Store } from '../../store/store.ts'
import type { AdminConfig } from '../config.ts'
import { type PeriodName, periodNames, type Periods } from '../period.ts'
import { adminStoreTimeoutMs } from './change-limits.ts'
import { findPrincipals, type Position, type Wanted } from './find-principals.ts'
import { centsText, groupList } from './format.ts'
import type { ScopeType } from './limit-request.ts'
import { bindingOf, decodeToken, encodeToken } from './page-token.ts'
import { type Query, refuse } from './query.ts'
import { scopeOf } from './spend-limit.ts'

/** Principals of a page, as on the reference. */
const principalsDefault = 20

interface EffectiveQuery extends Wanted {
  readonly periods: readonly PeriodName[]
  readonly userIds: readonly string[]
  readonly binding: string
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

/**
 * In the order of `principals`, repeated ones too. OFFSET 0 keeps PostgreSQL from folding a
 * subquery into the rest: person by person by the index, however far behind the page is, and with
 * plain columns as the arguments of `caps_by_period`, without which it would run as a query of its
 * own for each of them.
 */
async function describe(
  tx: Queryable,
  principals: readonly string[],
  keys: readonly string[],
  mode: string,
): Promise<readonly Person[]> {
  const { rows } = await tx.query<Person>(
    `SELECT p.id, p.email, p.name, p.groups, caps.list AS caps, used.list AS spent
     FROM (
       SELECT asked.id, asked.place, known.email, known.name, ARRAY(
         SELECT jsonb_array_elements_text(${groupList('known.groups')})) AS groups
       FROM unnest($1::text[]) WITH ORDINALITY AS asked(id, place)
       LEFT JOIN LATERAL (
         SELECT e.email, e.name, e.groups FROM principal_emails AS e
         WHERE e.principal = asked.id OFFSET 0
       ) AS known ON true
       OFFSET 0
     ) AS p
     CROSS JOIN LATERAL (
       SELECT coalesce(jsonb_agg(jsonb_build_object('period', cap.period,
         'amount', cap.amount::text, 'scope_type', cap.scope_type, 'scope_id', cap.scope_id,
         'id', cap.id)), '[]') AS list
       FROM caps_by_period(p.id, p.groups, $3) AS cap
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
