/**
 * `GET …/spend_limits/effective`: for every principal with recorded spend, or for those asked
 * for, the limit that holds in each period and what was spent of it. Pages go by principal, found
 * by jumping from one to the next in the index, so that a page costs the same however many rows
 * there are.
 */
import type { Queryable, Store } from '../../store/store.ts'
import type { AdminConfig } from '../config.ts'
import { type PeriodName, periodNames, periodsAt } from '../period.ts'
import { invalid } from './answer.ts'
import { formatCents } from './format.ts'
import type { ScopeType } from './limit-body.ts'
import { timeoutMs } from './limits.ts'
import { readLimit, storable } from './query.ts'

export interface EffectiveDeps {
  readonly store: Store
  readonly mode: AdminConfig['group_limit_mode']
  readonly now: () => number
}

interface Asked {
  readonly limit: number
  readonly periods: readonly PeriodName[]
  readonly userIds: readonly string[]
  readonly text: string
  readonly bySpend: boolean
  readonly after: Cursor | null
}

/** The last principal of a page; with the cents it was sorted by. */
interface Cursor {
  readonly p: string
  readonly c?: number
  readonly s?: true
}

/** Principals asked for by id at once; a longer query would not fit into a request line. */
const userIdsMax = 1000

export async function readEffective(query: URLSearchParams, deps: EffectiveDeps): Promise<unknown> {
  const asked = readAsked(query)
  const keys = keysAt(deps.now())
  return deps.store.transaction(
    async (tx) => {
      const found = await findPrincipals(tx, asked, keys)
      const page = found.slice(0, asked.limit)
      const rows = await readRows(
        tx,
        page.map(({ principal }) => principal),
        asked,
        keys,
        deps.mode,
      )
      const last = found.length > asked.limit ? page.at(-1) : undefined
      return {
        data: rows.map(describe),
        next_page: last === undefined ? null : writeCursor(last, asked),
      }
    },
    { timeoutMs },
  )
}

function readAsked(query: URLSearchParams): Asked {
  const limit = readLimit(query, 20)
  const asked = query.getAll('period[]')
  const periods = periodNames.filter((name) => asked.length === 0 || asked.includes(name))
  if (asked.some((name) => !periodNames.some((each) => each === name))) {
    invalid(`period[]: must be one of ${periodNames.join(', ')}`)
  }
  const sort = query.get('sort')
  if (sort !== null && sort !== 'spend_desc') invalid('sort: must be spend_desc')
  if (sort !== null && asked.length !== 1) {
    invalid('sort=spend_desc requires exactly one period[]')
  }
  const userIds = query.getAll('user_ids[]').map(storable)
  if (userIds.length > userIdsMax) invalid(`user_ids[]: at most ${userIdsMax} in one request`)
  return {
    limit,
    periods,
    userIds: [...new Set(userIds)],
    text: storable(query.get('q') ?? ''),
    bySpend: sort !== null,
    after: readCursor(query.get('page'), sort !== null),
  }
}

function readCursor(page: string | null, bySpend: boolean): Cursor | null {
  if (page === null) return null
  try {
    const value: unknown = JSON.parse(Buffer.from(page, 'base64url').toString('utf8'))
    if (
      typeof value === 'object' &&
      value !== null &&
      'p' in value &&
      typeof value.p === 'string'
    ) {
      const p = storable(value.p)
      const c = 'c' in value && typeof value.c === 'number' ? value.c : undefined
      const sorted = 's' in value && value.s === true
      if (sorted === bySpend && (c !== undefined) === bySpend) {
        return c === undefined ? { p } : { p, c, s: true }
      }
    }
  } catch {
    // Answered below.
  }
  return invalid('page: invalid page token')
}

function writeCursor({ principal, cents }: Found, { bySpend }: Asked): string {
  const cursor: Cursor = bySpend ? { p: principal, c: cents ?? -1, s: true } : { p: principal }
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

type Keys = Readonly<Record<PeriodName, string>>

function keysAt(nowMs: number): Keys {
  const { daily, weekly, monthly } = periodsAt(nowMs)
  return { daily: daily.key, weekly: weekly.key, monthly: monthly.key }
}

interface Found {
  readonly principal: string
  /** What the page is sorted by; null for those who spent nothing in the period. */
  readonly cents: number | null
}

/** One more than fits on the page. */
async function findPrincipals(tx: Queryable, asked: Asked, keys: Keys): Promise<Found[]> {
  const { userIds, text, bySpend, after, limit } = asked
  if (userIds.length > 0) return listed(tx, asked, keys)
  if (!bySpend) return text === '' ? jump(tx, after?.p ?? '', limit + 1) : search(tx, asked)
  const [period = 'monthly'] = asked.periods
  const spent = await bySpendIn(tx, keys[period], asked)
  if (spent.length > limit) return spent
  // Those without a row in this period come last, by name.
  const from = after !== null && (after.c ?? 0) < 0 ? after.p : ''
  const rest = await tx.query<Found>(
    `${jumpSql} SELECT principal, NULL::float8 AS cents FROM seen AS p
     WHERE principal IS NOT NULL ${matching}
       AND NOT EXISTS (SELECT 1 FROM spend AS s WHERE s.principal = p.principal AND s.period = $3)
     LIMIT $4`,
    [from, text, keys[period], limit + 1 - spent.length],
  )
  return [...spent, ...rest.rows]
}

/** From each principal to the next one of the index, `$1` excluded. */
const jumpSql = `
  WITH RECURSIVE seen AS (
    (SELECT principal FROM spend WHERE principal > $1 ORDER BY principal LIMIT 1)
    UNION ALL
    SELECT (SELECT s.principal FROM spend AS s WHERE s.principal > seen.principal
            ORDER BY s.principal LIMIT 1)
    FROM seen WHERE seen.principal IS NOT NULL
  )`

/** `$2` as it stands, in the id, email or name of `p`; everybody when it is empty. */
const matching = `
  AND ($2 = '' OR strpos(lower(p.principal), lower($2)) > 0 OR EXISTS (
    SELECT 1 FROM principal_emails AS e WHERE e.principal = p.principal
      AND (strpos(lower(e.email), lower($2)) > 0 OR strpos(lower(e.name), lower($2)) > 0)))`

async function jump(tx: Queryable, after: string, limit: number): Promise<Found[]> {
  const { rows } = await tx.query<Found>(
    `${jumpSql} SELECT principal, NULL::float8 AS cents FROM seen
     WHERE principal IS NOT NULL LIMIT $2`,
    [after, limit],
  )
  return [...rows]
}

async function search(tx: Queryable, { after, text, limit }: Asked): Promise<Found[]> {
  const { rows } = await tx.query<Found>(
    `${jumpSql} SELECT principal, NULL::float8 AS cents FROM seen AS p
     WHERE principal IS NOT NULL ${matching} LIMIT $3`,
    [after?.p ?? '', text, limit + 1],
  )
  return [...rows]
}

async function bySpendIn(tx: Queryable, key: string, { after, text, limit }: Asked) {
  if (after !== null && (after.c ?? 0) < 0) return []
  const { rows } = await tx.query<Found>(
    `SELECT p.principal, p.cents FROM spend AS p
     WHERE p.period = $1 ${matching}
       AND ($3::float8 IS NULL OR p.cents < $3 OR (p.cents = $3 AND p.principal > $4))
     ORDER BY p.cents DESC, p.principal LIMIT $5`,
    [key, text, after?.c ?? null, after?.p ?? '', limit + 1],
  )
  return [...rows]
}

/** The ids asked for, known or not, in the order they were asked for, or by what they spent. */
async function listed(tx: Queryable, asked: Asked, keys: Keys): Promise<Found[]> {
  const { userIds, bySpend, after, limit } = asked
  if (!bySpend) {
    const from = after === null ? 0 : userIds.indexOf(after.p) + 1
    return userIds.slice(from, from + limit + 1).map((principal) => ({ principal, cents: null }))
  }
  const [period = 'monthly'] = asked.periods
  const { rows } = await tx.query<Found>(
    `SELECT p.principal, coalesce(s.cents, -1) AS cents
     FROM unnest($1::text[]) AS p (principal)
     LEFT JOIN spend AS s ON s.principal = p.principal AND s.period = $2
     WHERE $3::float8 IS NULL OR coalesce(s.cents, -1) < $3
        OR (coalesce(s.cents, -1) = $3 AND p.principal > $4)
     ORDER BY cents DESC, p.principal LIMIT $5`,
    [userIds, keys[period], after?.c ?? null, after?.p ?? '', limit + 1],
  )
  return [...rows]
}

interface Row {
  readonly principal: string
  readonly email: string | null
  readonly name: string | null
  readonly groups: readonly string[]
  readonly period: PeriodName
  readonly amount: string | null
  readonly scope_type: ScopeType | null
  readonly scope_id: string | null
  readonly id: string | null
  readonly cents: number
}

/** Groups are those of the last call; a single one may stand there as a bare string. */
async function readRows(
  tx: Queryable,
  principals: readonly string[],
  { periods }: Asked,
  keys: Keys,
  mode: EffectiveDeps['mode'],
): Promise<readonly Row[]> {
  const { rows } = await tx.query<Row>(
    `SELECT u.principal, e.email, e.name, e.groups, per.name AS period, cap.amount::text,
            cap.scope_type, cap.scope_id, cap.id, coalesce(s.cents, 0) AS cents
     FROM unnest($1::text[]) WITH ORDINALITY AS u (principal, at)
     LEFT JOIN LATERAL (
       SELECT p.email, p.name, ARRAY(SELECT jsonb_array_elements_text(
                CASE jsonb_typeof(p.groups) WHEN 'array' THEN p.groups
                  WHEN 'string' THEN jsonb_build_array(p.groups) ELSE '[]' END)) AS groups
       FROM principal_emails AS p WHERE p.principal = u.principal) AS e ON true
     CROSS JOIN unnest($2::text[], $3::text[]) WITH ORDINALITY AS per (name, key, at)
     LEFT JOIN LATERAL (
       SELECT c.* FROM caps_by_period(u.principal, coalesce(e.groups, '{}'), $4) AS c
       WHERE c.period = per.name) AS cap ON true
     LEFT JOIN spend AS s ON s.principal = u.principal AND s.period = per.key
     ORDER BY u.at, per.at`,
    [principals, periods, periods.map((name) => keys[name]), mode],
  )
  return rows
}

function describe(row: Row): object {
  const { principal, email, name, groups, period, amount, id, cents } = row
  return {
    scope: { type: 'user', user_id: principal },
    groups: groups ?? [],
    actor: { type: 'user_actor', user_id: principal, name, email_address: email, deleted: false },
    amount,
    currency: 'USD',
    period,
    source: sourceOf(row),
    spend_limit_id: id,
    period_to_date_spend: formatCents(cents),
  }
}

function sourceOf({ scope_type, scope_id }: Row): object | null {
  switch (scope_type) {
    case 'user':
      return { type: scope_type, user_id: scope_id }
    case 'rbac_group':
      return { type: scope_type, rbac_group_id: scope_id }
    case 'organization':
      return { type: scope_type }
    case null:
      return null
  }
}
