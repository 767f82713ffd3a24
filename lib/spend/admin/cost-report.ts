/**
 * `GET /v1/organizations/analytics/cost`: what was spent on the days of a range, by person, by
 * group, or both. Reads the daily rows of `spend`; a person in several groups counts in full in
 * each of them.
 */
import type { Store } from '../../store/store.ts'
import { dayMs, periodsAt } from '../period.ts'
import { adminStoreTimeoutMs } from './change-limits.ts'
import { type CostQuery, readCostQuery } from './cost-query.ts'
import { groupList } from './format.ts'
import { encodeToken } from './page-token.ts'
import type { Query } from './query.ts'

interface CostRow {
  readonly day: string
  readonly principal: string
  readonly group: string
  readonly amount: string
  readonly email: string | null
  readonly name: string | null
}

export async function reportCost(store: Store, query: Query, now: number): Promise<object> {
  const asked = readCostQuery(query, now)
  const { rows } = await store.query<CostRow>(reportSql(asked), parametersOf(asked), {
    timeoutMs: adminStoreTimeoutMs,
  })
  const page = rows.slice(0, asked.limit)
  const hasMore = rows.length > asked.limit
  return {
    data: page.map((row) => reportRow(row, asked)),
    has_more: hasMore,
    next_page: hasMore ? nextPage(page.at(-1), asked) : null,
    data_refreshed_at: new Date(now),
  }
}

function nextPage(last: CostRow | undefined, { binding }: CostQuery): string | null {
  if (last === undefined) return null
  const { amount: c, principal: p, group: g, day: d } = last
  return encodeToken({ c, p, g, d, q: binding })
}

function parametersOf(asked: CostQuery): readonly unknown[] {
  const { startsAt, endsAt, from } = asked
  const days: string[] = []
  for (let at = startsAt; at < endsAt; at += dayMs) days.push(periodsAt(at).daily.key)
  return [
    days,
    days[0],
    asked.actorIds,
    asked.groupIds,
    asked.limit + 1,
    from?.amount ?? null,
    from?.principal ?? null,
    from?.group ?? null,
    from?.day ?? null,
  ]
}

/**
 * The groups of a day are those recorded on it, else the last ones before, else the first ones
 * after it. The table of groups has no index by person, so that the ones without a record of the
 * day are looked up together, in one pass over it.
 */
const groupsSql = `
  , recorded AS (
    SELECT used.principal, used.day, used.cents, g.groups
    FROM used LEFT JOIN principal_groups AS g ON g.day = used.day AND g.principal = used.principal
  ), nearest AS (
    SELECT DISTINCT ON (r.principal, r.day) r.principal, r.day, g.groups
    FROM recorded AS r JOIN principal_groups AS g ON g.principal = r.principal
    WHERE r.groups IS NULL
    ORDER BY r.principal, r.day, g.day > r.day,
             CASE WHEN g.day < r.day THEN g.day END DESC, g.day
  ), grouped AS (
    SELECT r.principal, r.day, r.cents, coalesce(r.groups, n.groups, '[]') AS groups
    FROM recorded AS r LEFT JOIN nearest AS n ON n.principal = r.principal AND n.day = r.day
  )`

function reportSql(asked: CostQuery): string {
  const { byActor, byGroup, isDaily, groupIds, from } = asked
  const needsGroups = byGroup || groupIds !== null
  const groupOf = byGroup ? `coalesce(member.group_id, '')` : `''::text`
  return `
    WITH used AS (
      SELECT principal, period AS day, cents::numeric AS cents FROM spend
      WHERE period = ANY ($1::text[]) AND ($3::text[] IS NULL OR principal = ANY ($3::text[]))
    )${needsGroups ? groupsSql : ''}, counted AS (
      SELECT ${isDaily ? 'source.day' : '$2::text'} AS day,
             ${byActor ? 'source.principal' : `''::text`} AS principal,
             ${groupOf} AS group_id, sum(source.cents) AS cents
      FROM ${needsGroups ? 'grouped' : 'used'} AS source
      ${byGroup ? memberSql : ''}
      WHERE $4::text[] IS NULL OR ${groupFilter(byGroup, needsGroups)}
      GROUP BY 1, 2, 3
      HAVING count(*) > 0
    ), listed AS (
      SELECT day, principal, group_id, round(cents, 6) AS amount FROM counted
    ), page AS (
      SELECT * FROM listed
      WHERE ($2::text IS NOT NULL) ${from === null ? noPositionSql : afterSql(asked)}
      ORDER BY ${orderSql(asked, 'listed')} LIMIT $5
    )
    SELECT page.day, page.principal, page.group_id AS group, page.amount::text AS amount,
           e.email, e.name
    FROM page LEFT JOIN principal_emails AS e ON e.principal = page.principal
    ORDER BY ${orderSql(asked, 'page')}`
}

const memberSql = `
  LEFT JOIN LATERAL (
    SELECT DISTINCT id AS group_id FROM jsonb_array_elements_text(
      ${groupList('source.groups')}) AS g(id)
  ) AS member ON true`

function groupFilter(byGroup: boolean, needsGroups: boolean): string {
  if (byGroup) return 'member.group_id = ANY ($4::text[])'
  return needsGroups ? `${groupList('source.groups')} ?| $4::text[]` : 'false'
}

/** Names the parameters all the same: PostgreSQL must know their types. */
const noPositionSql = `AND ($6::numeric IS NULL AND $7::text IS NULL AND $8::text IS NULL
  AND $9::text IS NULL)`

function afterSql({ orderBy, order }: CostQuery): string {
  const beyond = (column: string, value: string, direction: 'asc' | 'desc'): string =>
    `${column} ${direction === 'desc' ? '<' : '>'} ${value}`
  const tied = '(principal, group_id, day) > ($7::text, $8::text, $9::text)'
  if (orderBy === 'amount') {
    return `AND (${beyond('amount', '$6::numeric', order)} OR (amount = $6::numeric AND ${tied}))`
  }
  return `AND (${beyond('day', '$9::text', order)} OR (day = $9::text AND
    (amount < $6::numeric OR (amount = $6::numeric AND ${tied}))))`
}

/** With the table's name: a bare one would mean the text that is selected. */
function orderSql({ orderBy, order }: CostQuery, table: string): string {
  const ties = `${table}.principal, ${table}.group_id, ${table}.day`
  const amount = `${table}.amount`
  return orderBy === 'amount'
    ? `${amount} ${order}, ${ties}`
    : `${table}.day ${order}, ${amount} DESC, ${ties}`
}

/** Every key of the report that a gateway has no figures for, in the order of the reference. */
const nothing = {
  product: null,
  model: null,
  context_window: null,
  inference_geo: null,
  speed: null,
  slack_channel_id: null,
  claude_tag_category: null,
  claude_tag_user_id: null,
  rbac_group_id: null,
  workspace_id: null,
  service_tier: null,
  user_profile_id: null,
  agent_id: null,
  environment_id: null,
  deployment_id: null,
  session_id: null,
  actor: null,
  actor_type: null,
  api_key_id: null,
  cost_type: null,
  token_type: null,
}

function reportRow(row: CostRow, { byActor, isDaily, startsAt, endsAt }: CostQuery): object {
  const from = isDaily ? Date.parse(`${row.day}T00:00:00Z`) : startsAt
  const until = isDaily ? from + dayMs : endsAt
  const actor = {
    type: 'user_actor',
    user_id: row.principal,
    email_address: row.email,
    name: row.name,
    deleted: false,
  }
  const cost = { currency: 'USD', amount: row.amount, list_amount: row.amount, requests: null }
  return {
    starting_at: midnight(from),
    ending_at: midnight(until),
    group: { ...nothing, rbac_group_id: row.group || null, actor: byActor ? actor : null },
    cost,
  }
}

function midnight(ms: number): string {
  return new Date(ms).toISOString().replace('.000', '')
}
