/**
 * Forgets what is older than the configuration says: spend, changes of limits, names and groups
 * of people who stopped coming. At boot and hourly, by one replica at a time.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Queryable, Store } from '../store/store.ts'
import type { AdminConfig } from './config.ts'
import { dayMs, periodsAt } from './period.ts'

export type RetentionConfig = Pick<
  AdminConfig,
  'audit_retention_days' | 'spend_retention_months' | 'identity_retention_days'
>

export interface Retention {
  /** What holds from the next sweep on. */
  use(config: RetentionConfig): void
  /** One sweep; never rejects. */
  run(): Promise<void>
  stop(): void
}

export interface RetentionDeps {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

const hourMs = 3_600_000
/** Of one sweep. The first one of a database that was never swept removes years. */
const timeoutMs = 5 * 60_000
/** Any number, as long as it is ours: whoever has it sweeps. */
const lockKey = 6_775_157

export function createRetention(deps: RetentionDeps, initial: RetentionConfig): Retention {
  const { store, clock, log } = deps
  let config = initial
  const run = async (): Promise<void> => {
    try {
      const removed = await store.transaction((tx) => sweep(tx, config, clock.now()), { timeoutMs })
      const parts = Object.entries(removed).filter(([, count]) => count > 0)
      if (parts.length === 0) return
      log.info(
        `retention: removed ${parts.map(([name, count]) => `${count} of ${name}`).join(', ')}`,
      )
    } catch (error) {
      log.warn(`retention: nothing was removed, next try in an hour: ${String(error)}`)
    }
  }
  // `run` deals with its failures itself.
  const timer = clock.every(hourMs, () => void run())
  return {
    use: (next) => void (config = next),
    run,
    stop: () => timer.cancel(),
  }
}

/** Rows removed, by table; nothing when another replica is at it. */
async function sweep(
  tx: Queryable,
  config: RetentionConfig,
  nowMs: number,
): Promise<Readonly<Record<string, number>>> {
  const { rows } = await tx.query<{ mine: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1) AS mine',
    [lockKey],
  )
  if (rows[0]?.mine !== true) return {}
  const removed: Record<string, number> = {}
  for (const { table, where, value } of rules(config, nowMs)) {
    const { count } = await tx.query(`DELETE FROM ${table} WHERE ${where}`, [value])
    removed[table] = (removed[table] ?? 0) + count
  }
  return removed
}

interface Rule {
  readonly table: string
  /** With `$1` for `value`. */
  readonly where: string
  readonly value: string
}

/**
 * Spend goes by its last change, as on the reference: a month that was still spent in is kept until
 * that is too long ago. The period a row is of decides for rows that something touched later.
 */
function rules(config: RetentionConfig, nowMs: number): Rule[] {
  const oldest = monthsBefore(nowMs, config.spend_retention_months)
  const changed = new Date(oldest).toISOString()
  const { daily, weekly, monthly } = periodsAt(oldest)
  const dayBefore = (days: number): string => new Date(nowMs - days * dayMs).toISOString()
  const identity = dayBefore(config.identity_retention_days)
  return [
    { table: 'spend', where: 'updated_at < $1', value: changed },
    { table: 'spend', where: `period < $1 AND period ~ '^\\d{4}-\\d\\d-'`, value: daily.key },
    { table: 'spend', where: `period < $1 AND period ~ '^\\d{4}-W'`, value: weekly.key },
    { table: 'spend', where: `period < $1 AND period ~ '^\\d{4}-\\d\\d$'`, value: monthly.key },
    { table: 'pooled_spend', where: 'updated_at < $1', value: changed },
    { table: 'pooled_spend', where: 'period < $1', value: monthly.key },
    { table: 'admin_audit', where: 'at < $1', value: dayBefore(config.audit_retention_days) },
    { table: 'principal_emails', where: 'updated_at < $1', value: identity },
    { table: 'principal_groups', where: 'day < $1', value: identity.slice(0, 10) },
    { table: 'gateway_spend_batch', where: 'applied_at < $1', value: dayBefore(1) },
    { table: 'gateway_spend_lease', where: 'expires_at < $1', value: dayBefore(1) },
  ]
}

/** The same day and time of an earlier month; of a shorter one its last day. */
function monthsBefore(nowMs: number, months: number): number {
  const now = new Date(nowMs)
  const year = now.getUTCFullYear()
  const month = now.getUTCMonth() - months
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return Date.UTC(year, month, Math.min(now.getUTCDate(), lastDay)) + (nowMs % dayMs)
}
