/**
 * Spend limits as objects of the Admin API: create and replace, read, list, delete. Each change
 * and its line in `admin_audit` are one transaction, and all replicas hear of it.
 */
import { randomUUID } from 'node:crypto'
import type { Audit } from '../../kernel/log.ts'
import type { Queryable, Store } from '../../store/store.ts'
import { type PeriodName, periodsAt } from '../period.ts'
import { announceCapChange } from '../revision.ts'
import { AdminError, invalid } from './answer.ts'
import type { Actor } from './credentials.ts'
import { formatCents } from './format.ts'
import { checkPoolAmount, type LimitBody, type PoolChange, type ScopeType } from './limit-body.ts'
import { readChoice, readLimit, storable } from './query.ts'

export interface LimitsDeps {
  readonly store: Store
  readonly audit: Audit
  /** Drops what this replica knows of caps, with the revision the change made. */
  readonly capsChanged: (revision: bigint) => void
  readonly now: () => number
}

/** Of one call of the API, so that it is answered within five seconds whatever the database does. */
export const timeoutMs = 4500

const columns = `
  l.id, l.scope_type, l.scope_id, l.amount::text, l.period, l.currency, l.created_at, l.updated_at,
  l.pooled_limit_enabled, l.pooled_monthly_credit_limit::text`

interface Row {
  readonly id: string
  readonly scope_type: ScopeType
  readonly scope_id: string
  readonly amount: string | null
  readonly period: PeriodName
  readonly currency: string
  readonly created_at: Date
  readonly updated_at: Date
  readonly pooled_limit_enabled: boolean
  readonly pooled_monthly_credit_limit: string | null
}

type Pooled = Row & { readonly pooled_cents: number | null }

export interface Limits {
  put(body: LimitBody, actor: Actor): Promise<unknown>
  get(id: string): Promise<unknown>
  list(query: URLSearchParams): Promise<unknown>
  remove(id: string, actor: Actor): Promise<unknown>
}

export function createLimits(deps: LimitsDeps): Limits {
  return {
    put: (body, actor) => put(body, actor, deps),
    get: (id) => get(id, deps),
    list: (query) => list(query, deps),
    remove: (id, actor) => remove(id, actor, deps),
  }
}

async function put(body: LimitBody, actor: Actor, deps: LimitsDeps): Promise<unknown> {
  const { scope, amount, period } = body
  const changed = await deps.store.transaction(
    async (tx) => {
      // Whoever changes a limit at the same time waits here, a limit that is not there yet included.
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        JSON.stringify([scope.type, scope.id, period]),
      ])
      const found = await tx.query<Row>(
        `SELECT ${columns} FROM spend_limits AS l
         WHERE scope_type = $1 AND scope_id = $2 AND period = $3 FOR UPDATE`,
        [scope.type, scope.id, period],
      )
      const before = found.rows[0]
      const pool = body.pool === undefined ? poolOf(before) : body.pool
      checkPoolAmount(pool, amount)
      const { rows } = await tx.query<Row>(
        `INSERT INTO spend_limits AS l (id, scope_type, scope_id, amount, period, created_by,
           pooled_limit_enabled, pooled_monthly_credit_limit)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (scope_type, scope_id, period) DO UPDATE
           SET amount = EXCLUDED.amount, updated_at = now(),
               pooled_limit_enabled = EXCLUDED.pooled_limit_enabled,
               pooled_monthly_credit_limit = EXCLUDED.pooled_monthly_credit_limit
         RETURNING ${columns}`,
        [
          `spl_${randomUUID().replaceAll('-', '')}`,
          scope.type,
          scope.id,
          amount?.toString() ?? null,
          period,
          actor.name,
          pool !== null && !pool.paused,
          pool?.amount.toString() ?? null,
        ],
      )
      const [after] = rows
      if (after === undefined) throw new Error('an upsert returned no row')
      const revision = await record(tx, actor, 'spend_limit.upsert', before, after)
      return { before, after: await withPool(tx, after, deps.now()), revision }
    },
    { timeoutMs },
  )
  deps.capsChanged(changed.revision)
  const { before, after } = changed
  deps.audit('admin.limit.upsert', {
    ...auditFields(actor, after),
    before_amount: before === undefined ? undefined : before.amount,
    amount: after.amount,
    before_pooled_budget: before === undefined ? undefined : auditPool(before),
    pooled_budget: auditPool(after),
  })
  return describe(after)
}

async function get(id: string, { store, now }: LimitsDeps): Promise<unknown> {
  const { rows } = await store.query<Pooled>(
    `${selectPooled} WHERE l.id = $2`,
    [periodsAt(now()).monthly.key, storable(id)],
    { timeoutMs },
  )
  const [row] = rows
  if (row === undefined) throw new AdminError('not_found_error', 'spend limit not found')
  return describe(row)
}

async function list(query: URLSearchParams, { store, now }: LimitsDeps): Promise<unknown> {
  const limit = readLimit(query, 20)
  const scopeType = readChoice(query, 'scope_type', ['organization', 'rbac_group', 'user'])
  const after = query.get('after_id')
  const before = query.get('before_id')
  if (after !== null && before !== null) invalid('after_id and before_id are mutually exclusive')
  const month = periodsAt(now()).monthly.key
  const edge = after ?? before
  const name = after === null ? 'before_id' : 'after_id'
  // One more than fits says whether there is more.
  const rows = await store.transaction(
    async (tx) => {
      if (edge !== null) await requireLimit(tx, edge, name)
      const backwards = before !== null
      const found = await tx.query<Pooled>(
        `${selectPooled}
         WHERE ($2::text IS NULL OR l.scope_type = $2)
           AND ($3::text IS NULL OR (l.created_at, l.id) ${backwards ? '<' : '>'}
                (SELECT e.created_at, e.id FROM spend_limits AS e WHERE e.id = $3))
         ORDER BY l.created_at ${backwards ? 'DESC' : 'ASC'}, l.id ${backwards ? 'DESC' : 'ASC'}
         LIMIT $4`,
        [month, scopeType ?? null, edge === null ? null : storable(edge), limit + 1],
      )
      return found.rows
    },
    { timeoutMs },
  )
  const page = rows.slice(0, limit)
  const data = before === null ? page : page.toReversed()
  return {
    data: data.map(describe),
    has_more: rows.length > limit,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
}

async function remove(id: string, actor: Actor, deps: LimitsDeps): Promise<unknown> {
  const { before, revision } = await deps.store.transaction(
    async (tx) => {
      const { rows } = await tx.query<Row>(
        `DELETE FROM spend_limits AS l WHERE l.id = $1 RETURNING ${columns}`,
        [storable(id)],
      )
      const [row] = rows
      if (row === undefined) throw new AdminError('not_found_error', 'spend limit not found')
      return {
        before: row,
        revision: await record(tx, actor, 'spend_limit.delete', row, undefined),
      }
    },
    { timeoutMs },
  )
  deps.capsChanged(revision)
  deps.audit('admin.limit.delete', auditFields(actor, before))
  return { type: 'spend_limit_deleted', id: before.id }
}

/** The pool's spend of the month `$1` beside each limit. */
const selectPooled = `
  SELECT ${columns}, p.cents AS pooled_cents
  FROM spend_limits AS l
  LEFT JOIN pooled_spend AS p
    ON l.pooled_monthly_credit_limit IS NOT NULL AND p.rbac_group_id = l.scope_id AND p.period = $1`

async function requireLimit(tx: Queryable, id: string, name: string): Promise<void> {
  const { count } = await tx.query('SELECT 1 FROM spend_limits WHERE id = $1', [storable(id)])
  if (count === 0) invalid(`${name}: no spend limit with this id`)
}

async function withPool(tx: Queryable, row: Row, nowMs: number): Promise<Pooled> {
  if (row.pooled_monthly_credit_limit === null) return { ...row, pooled_cents: null }
  const { rows } = await tx.query<{ cents: number }>(
    'SELECT cents FROM pooled_spend WHERE rbac_group_id = $1 AND period = $2',
    [row.scope_id, periodsAt(nowMs).monthly.key],
  )
  return { ...row, pooled_cents: rows[0]?.cents ?? null }
}

/** The change in `admin_audit`, and the word to all replicas; returns the revision it made. */
async function record(
  tx: Queryable,
  actor: Actor,
  action: string,
  before: Row | undefined,
  after: Row | undefined,
): Promise<bigint> {
  const target = after?.id ?? before?.id
  const [old, current] = [before, after].map((row) =>
    row === undefined ? null : JSON.stringify(snapshot(row)),
  )
  await tx.query(
    'INSERT INTO admin_audit (actor, action, target, before, after) VALUES ($1, $2, $3, $4, $5)',
    [actor.name, action, target, old, current],
  )
  return announceCapChange(tx)
}

function scopeOf({ scope_type, scope_id }: Row): object {
  switch (scope_type) {
    case 'user':
      return { type: scope_type, user_id: scope_id }
    case 'rbac_group':
      return { type: scope_type, rbac_group_id: scope_id }
    case 'organization':
      return { type: scope_type }
  }
}

function poolOf(row: Row | undefined): PoolChange | null {
  const amount = row?.pooled_monthly_credit_limit ?? null
  if (row === undefined || amount === null) return null
  return { amount: BigInt(amount), paused: !row.pooled_limit_enabled }
}

/** Only the monthly limit of a group can have a pool, and says so even without one. */
function canPool({ scope_type, period }: Row): boolean {
  return scope_type === 'rbac_group' && period === 'monthly'
}

function describe(row: Pooled): object {
  const pool = poolOf(row)
  const spent = { currency: 'USD', period_to_date_spend: formatCents(row.pooled_cents ?? 0) }
  return {
    type: 'spend_limit',
    id: row.id,
    created_at: row.created_at,
    updated_at: row.updated_at,
    scope: scopeOf(row),
    amount: row.amount,
    currency: row.currency,
    period: row.period,
    ...(canPool(row) ? { pooled_budget: pool === null ? null : { ...shown(pool), ...spent } } : {}),
  }
}

function snapshot(row: Row): object {
  const pool = poolOf(row)
  return {
    id: row.id,
    scope: scopeOf(row),
    amount: row.amount,
    period: row.period,
    currency: row.currency,
    created_at: row.created_at,
    updated_at: row.updated_at,
    ...(canPool(row) ? { pooled_budget: pool === null ? null : shown(pool) } : {}),
  }
}

function shown({ amount, paused }: PoolChange): object {
  return { amount: String(amount), paused }
}

function auditFields({ name }: Actor, { id, scope_type, scope_id, period }: Row) {
  return { actor: name, target: id, scope_type, scope_id, period }
}

/** The audit's fields are flat: a pool is its JSON there. */
function auditPool(row: Row): string | null | undefined {
  if (!canPool(row)) return undefined
  const pool = poolOf(row)
  return pool === null ? null : JSON.stringify(shown(pool))
}
