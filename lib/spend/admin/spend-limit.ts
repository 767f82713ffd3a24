/**
 * One cap as the database has it, and the forms it has on the wire: the object of the Admin API,
 * the snapshot in its audit, and the fields of the line on standard error.
 */
import type { AuditValue } from '../../kernel/log.ts'
import type { PeriodName } from '../period.ts'
import { centsText } from './format.ts'
import type { ScopeType } from './limit-request.ts'

export interface LimitRow {
  readonly id: string
  readonly scope_type: ScopeType
  readonly scope_id: string
  /** bigint as text, so that no digit is lost. */
  readonly amount: string | null
  readonly period: PeriodName
  readonly created_at: Date
  readonly updated_at: Date
  readonly pool_amount: string | null
  readonly pool_enabled: boolean
  readonly pool_cents: number
}

/** What `LimitRow` needs of `spend_limits`; `month` is the parameter with the current month. */
export function limitColumns(month: string): string {
  return `id, scope_type, scope_id, amount::text AS amount, period, created_at, updated_at,
    pooled_monthly_credit_limit::text AS pool_amount, pooled_limit_enabled AS pool_enabled,
    coalesce((SELECT used.cents FROM pooled_spend AS used
              WHERE used.rbac_group_id = scope_id AND used.period = ${month}), 0) AS pool_cents`
}

export function limitObject(row: LimitRow): object {
  const { id, created_at, updated_at, amount, period } = row
  const pool = poolOf(row)
  return {
    type: 'spend_limit',
    id,
    created_at,
    updated_at,
    scope: scopeOf(row.scope_type, row.scope_id),
    amount,
    currency: 'USD',
    period,
    ...(canPool(row) && {
      pooled_budget: pool && {
        ...pool,
        currency: 'USD',
        period_to_date_spend: centsText(row.pool_cents),
      },
    }),
  }
}

export function limitSnapshot(row: LimitRow): object {
  const { id, amount, period, created_at, updated_at } = row
  const scope = scopeOf(row.scope_type, row.scope_id)
  const pool = canPool(row) ? { pooled_budget: poolOf(row) } : {}
  return { id, scope, amount, period, currency: 'USD', created_at, updated_at, ...pool }
}

export function limitAudit(
  before: LimitRow | null,
  after: LimitRow,
): Readonly<Record<string, AuditValue>> {
  const pooled = canPool(after)
  return {
    target: after.id,
    scope_type: after.scope_type,
    scope_id: after.scope_id,
    period: after.period,
    before_amount: before === null ? undefined : before.amount,
    amount: after.amount,
    before_pooled_budget: before !== null && pooled ? poolOf(before) : undefined,
    pooled_budget: pooled ? poolOf(after) : undefined,
  }
}

/** How a cap, or the source of one, names what it is for. */
export function scopeOf(type: ScopeType, id: string): object {
  switch (type) {
    case 'user':
      return { type, user_id: id }
    case 'rbac_group':
      return { type, rbac_group_id: id }
    case 'organization':
      return { type }
  }
}

/** A shared budget, paused or not; null without one. */
export function poolOf(
  row: LimitRow,
): { readonly amount: string; readonly paused: boolean } | null {
  return row.pool_amount === null ? null : { amount: row.pool_amount, paused: !row.pool_enabled }
}

function canPool({ scope_type, period }: LimitRow): boolean {
  return scope_type === 'rbac_group' && period === 'monthly'
}
