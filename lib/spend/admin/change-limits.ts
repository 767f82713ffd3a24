/**
 * Creates, replaces and deletes caps, each in one transaction with its audit row. Changes take
 * turns on the row of the revision: what is read before a change is what the change replaces, and
 * caps and audit rows become visible in the order of their times and numbers.
 */
import { randomUUID } from 'node:crypto'
import { fail } from '../../kernel/errors.ts'
import type { Queryable, Store } from '../../store/store.ts'
import { announceCapChange } from '../revision.ts'
import type { LimitRequest, PoolRequest } from './limit-request.ts'
import { refuse } from './query.ts'
import { limitColumns, type LimitRow, limitSnapshot, poolOf } from './spend-limit.ts'

/** With the rest of a call it stays within the five seconds an admin call may take. */
export const adminStoreTimeoutMs = 4000

export interface LimitChange {
  readonly before: LimitRow | null
  readonly after: LimitRow | null
  /** Of all caps, after this change. */
  readonly revision: bigint
}

export interface ChangeContext {
  readonly store: Store
  readonly actor: string
  /** The key of the running month. */
  readonly month: string
}

type Created = LimitChange & { readonly after: LimitRow }
type Deleted = LimitChange & { readonly before: LimitRow }

/** Throws `admin/invalid` when the shared budget that results makes no sense. */
export function putLimit(context: ChangeContext, request: LimitRequest): Promise<Created> {
  const { store, actor, month } = context
  const { scopeType, scopeId, period } = request
  return store.transaction(
    async (tx) => {
      const revision = await announceCapChange(tx)
      const before = await findByScope(tx, request, month)
      const amount = resultingAmount(before, request.amount)
      const pool = resultingPool(before, request.pool, amount)
      const { rows } = await tx.query<LimitRow>(
        `INSERT INTO spend_limits AS cap (id, scope_type, scope_id, amount, period, created_by,
           pooled_monthly_credit_limit, pooled_limit_enabled, created_at, updated_at)
         SELECT $2, $3, $4, $5::bigint, $6, $7, $8::bigint, $9, moment, moment
         FROM clock_timestamp() AS moment
         ON CONFLICT (scope_type, scope_id, period) DO UPDATE SET
           amount = EXCLUDED.amount,
           pooled_monthly_credit_limit = EXCLUDED.pooled_monthly_credit_limit,
           pooled_limit_enabled = EXCLUDED.pooled_limit_enabled,
           updated_at = EXCLUDED.updated_at
         RETURNING ${limitColumns('$1')}`,
        [
          month,
          `spl_${randomUUID().replaceAll('-', '')}`,
          scopeType,
          scopeId,
          amount,
          period,
          actor,
          pool?.amount ?? null,
          pool !== null && !pool.paused,
        ],
      )
      const after = rows[0] ?? fail('http/internal', { detail: 'a cap was not returned' })
      await writeAudit(tx, actor, 'spend_limit.upsert', { before, after })
      return { before, after, revision }
    },
    { timeoutMs: adminStoreTimeoutMs },
  )
}

/** Throws `admin/limit-not-found`. */
export function deleteLimit(context: ChangeContext, id: string): Promise<Deleted> {
  const { store, actor, month } = context
  return store.transaction(
    async (tx) => {
      const revision = await announceCapChange(tx)
      const { rows } = await tx.query<LimitRow>(
        `DELETE FROM spend_limits WHERE id = $2 RETURNING ${limitColumns('$1')}`,
        [month, id],
      )
      const before = rows[0] ?? fail('admin/limit-not-found')
      await writeAudit(tx, actor, 'spend_limit.delete', { before, after: null })
      return { before, after: null, revision }
    },
    { timeoutMs: adminStoreTimeoutMs },
  )
}

async function findByScope(
  tx: Queryable,
  { scopeType, scopeId, period }: LimitRequest,
  month: string,
): Promise<LimitRow | null> {
  const { rows } = await tx.query<LimitRow>(
    `SELECT ${limitColumns('$1')} FROM spend_limits
     WHERE scope_type = $2 AND scope_id = $3 AND period = $4 FOR UPDATE`,
    [month, scopeType, scopeId, period],
  )
  return rows[0] ?? null
}

function resultingAmount(before: LimitRow | null, asked: string | null | undefined): string | null {
  if (asked !== undefined) return asked
  if (before !== null) return before.amount
  return refuse(
    "This spend limit doesn't exist yet, so it needs amount (each member's own limit). Set amount; it may equal pooled_budget.amount.",
  )
}

/** What is not said stays as it was; without an amount there is no shared budget. */
function resultingPool(
  before: LimitRow | null,
  asked: PoolRequest | undefined,
  memberAmount: string | null,
): ReturnType<typeof poolOf> {
  const known = before === null ? null : poolOf(before)
  const amount = asked?.amount === undefined ? (known?.amount ?? null) : asked.amount
  const paused = asked?.paused ?? known?.paused
  if (amount === null) {
    if (paused === false) {
      refuse(
        "A pooled budget that isn't paused needs an amount. Set pooled_budget.amount, or set pooled_budget.paused to true.",
      )
    }
    return null
  }
  if (paused !== true && memberAmount === null) {
    refuse(
      "A pooled budget that isn't paused needs amount (each member's own limit) on the same spend limit. Set amount; it may equal pooled_budget.amount.",
    )
  }
  return { amount, paused: paused === true }
}

async function writeAudit(
  tx: Queryable,
  actor: string,
  action: string,
  { before, after }: Pick<LimitChange, 'before' | 'after'>,
): Promise<void> {
  const snapshot = (row: LimitRow | null): string | null =>
    row === null ? null : JSON.stringify(limitSnapshot(row))
  await tx.query(
    `INSERT INTO admin_audit (at, actor, action, target, before, after)
     VALUES (clock_timestamp(), $1, $2, $3, $4::jsonb, $5::jsonb)`,
    [actor, action, (after ?? before)?.id, snapshot(before), snapshot(after)],
  )
}
