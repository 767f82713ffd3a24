/**
 * `GET /v1/organizations/analytics/cost`: what was spent, by day, person and group. A person with
 * several groups counts fully in each; groups are those of the day, else of the last day before
 * that has any, else of the first one after.
 */
import type { Store } from '../../store/store.ts'
import { type CostQuery, midnight, readCostQuery, writeCostCursor } from './cost-query.ts'
import { fixedCents } from './format.ts'
import { timeoutMs } from './limits.ts'

interface Row {
  /** First day of the bucket. */
  readonly d: string
  readonly p: string
  readonly g: string
  /** Rounded to the decimals that are shown: what a cursor says must order as what is read. */
  readonly c: string
  readonly email: string | null
  readonly name: string | null
}

const dayMs = 86_400_000

export async function readCostReport(
  parameters: URLSearchParams,
  store: Store,
  nowMs: number,
): Promise<unknown> {
  const query = readCostQuery(parameters, nowMs)
  const rows = await readRows(query, store)
  const page = rows.slice(0, query.limit)
  const last = rows.length > query.limit ? page.at(-1) : undefined
  return {
    data: page.map((row) => describe(row, query)),
    has_more: last !== undefined,
    next_page:
      last === undefined
        ? null
        : writeCostCursor({ c: last.c, p: last.p, g: last.g, d: last.d }, query.hash),
    data_refreshed_at: new Date(nowMs),
  }
}

async function readRows(query: CostQuery, store: Store): Promise<readonly Row[]> {
  const { startsAt, endsAt, daily, byActor, byGroup, actorIds, groupIds, after, limit } = query
  const days = Array.from({ length: (endsAt - startsAt) / dayMs }, (_, index) =>
    midnight(startsAt + index * dayMs).slice(0, 10),
  )
  const usesGroups = byGroup || groupIds !== null
  const { rows } = await store.query<Row>(
    `WITH spent AS (
       SELECT s.principal, s.period AS day, s.cents FROM spend AS s
       WHERE s.period = ANY ($1) AND ($2::text[] IS NULL OR s.principal = ANY ($2))
     ), member AS (${usesGroups ? membersSql(byGroup) : withoutGroupsSql}), cost AS (
       SELECT CASE WHEN $4 THEN day ELSE $5 END COLLATE "C" AS d,
              CASE WHEN $6 THEN principal ELSE '' END COLLATE "C" AS p,
              g COLLATE "C" AS g, round(sum(cents)::numeric, 6) AS c
       FROM member WHERE $3::text[] IS NULL OR g = ANY ($3) OR NOT $7
       GROUP BY 1, 2, 3
     )
     SELECT cost.d, cost.p, cost.g, cost.c::text, e.email, e.name
     FROM cost LEFT JOIN principal_emails AS e ON $6 AND e.principal = cost.p
     WHERE $8::numeric IS NULL OR ${afterCursor(query)}
     ORDER BY ${orderOf(query)}
     LIMIT $12`,
    [
      days,
      actorIds,
      groupIds,
      daily,
      days[0] ?? '',
      byActor,
      byGroup,
      after?.c ?? null,
      after?.p ?? '',
      after?.g ?? '',
      after?.d ?? '',
      limit + 1,
    ],
    { timeoutMs },
  )
  return rows
}

const withoutGroupsSql = `SELECT principal, day, cents, ''::text AS g FROM spent`

/** One row for each group of the person on the day; without any, one for nobody's group. */
function membersSql(byGroup: boolean): string {
  const groups = `
    SELECT spent.*, coalesce(today.groups, before.groups, later.groups, '[]') AS groups FROM spent
    LEFT JOIN principal_groups AS today
      ON today.day = spent.day AND today.principal = spent.principal
    LEFT JOIN LATERAL (
      SELECT g.groups FROM principal_groups AS g
      WHERE today.day IS NULL AND g.principal = spent.principal AND g.day < spent.day
      ORDER BY g.day DESC LIMIT 1) AS before ON true
    LEFT JOIN LATERAL (
      SELECT g.groups FROM principal_groups AS g
      WHERE today.day IS NULL AND before.groups IS NULL
        AND g.principal = spent.principal AND g.day > spent.day
      ORDER BY g.day LIMIT 1) AS later ON true`
  const list = `ARRAY(SELECT DISTINCT jsonb_array_elements_text(
    CASE jsonb_typeof(groups) WHEN 'array' THEN groups
      WHEN 'string' THEN jsonb_build_array(groups) ELSE '[]' END))`
  if (byGroup) {
    return `SELECT principal, day, cents, unnest(
              CASE WHEN cardinality(names) = 0 THEN ARRAY[''] ELSE names END) AS g
            FROM (SELECT listed.*, ${list} AS names FROM (${groups}) AS listed) AS named`
  }
  return `SELECT principal, day, cents, ''::text AS g
          FROM (SELECT listed.*, ${list} AS names FROM (${groups}) AS listed) AS named
          WHERE names && $3::text[]`
}

/** By the columns of `cost`: what is selected has the same names, as text. */
function orderOf({ order, ascending }: CostQuery): string {
  const direction = ascending ? 'ASC' : 'DESC'
  return order === 'time'
    ? `cost.d ${direction}, cost.c DESC, cost.p, cost.g`
    : `cost.c ${direction}, cost.p, cost.g, cost.d`
}

function afterCursor({ order, ascending }: CostQuery): string {
  const beyond = ascending ? '>' : '<'
  return order === 'time'
    ? `(cost.d ${beyond} $11 OR (cost.d = $11 AND
        (cost.c < $8 OR (cost.c = $8 AND (cost.p, cost.g) > ($9, $10)))))`
    : `(cost.c ${beyond} $8 OR (cost.c = $8 AND (cost.p, cost.g, cost.d) > ($9, $10, $11)))`
}

function describe({ d, p, g, c, email, name }: Row, query: CostQuery): object {
  const startsAt = Date.parse(`${d}T00:00:00Z`)
  const amount = fixedCents(Number(c))
  return {
    starting_at: midnight(startsAt),
    ending_at: midnight(query.daily ? startsAt + dayMs : query.endsAt),
    group: {
      ...nothingGrouped,
      rbac_group_id: query.byGroup && g !== '' ? g : null,
      actor: query.byActor
        ? { type: 'user_actor', user_id: p, email_address: email, name, deleted: false }
        : null,
    },
    cost: { currency: 'USD', amount, list_amount: amount, requests: null },
  }
}

/** All keys a cost report can be grouped by, in the order of the wire; ours has two of them. */
const nothingGrouped = {
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
} as const
