/**
 * `GET /api/oauth/usage`: how much of their limits a caller has used, as clients show it. Asked
 * for by people's status lines, so what was read a moment ago is good enough.
 */
import type { CallerHandler, Reply } from '../http/exchange.ts'
import { json, noStore, text } from '../http/reply.ts'
import { createCache } from '../kernel/cache.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import { GatewayError } from '../kernel/errors.ts'
import type { Store } from '../store/store.ts'
import type { AdminConfig } from './config.ts'
import { type PeriodName, periodNames, type Periods, periodsAt } from './period.ts'
import { decisiveCap, type DescribedCap, describeCaps, isSpent, utilization } from './standing.ts'
import type { CapState } from './sync.ts'

export interface UsageReportDeps {
  readonly store: Store
  readonly clock: Clock
}

/** A status line that asks every second costs one query in two. */
const keptMs = 1500
/** Answers of as many people are kept; each is below a kilobyte. */
const keptMax = 10_000
const timeoutMs = 1500
const retryAfterSeconds = 5

interface Row {
  readonly period: PeriodName
  readonly cents: number
  readonly amount: string | null
  readonly scope_type: CapState['source'] | null
  readonly id: string | null
}

/** Null without `admin`: there is nothing to report then. */
export function createUsageReport(
  { store, clock }: UsageReportDeps,
  admin: Pick<AdminConfig, 'group_limit_mode'> | undefined,
): CallerHandler {
  if (admin === undefined) return () => text(404, 'not configured', noStore)
  const kept = createCache<string, Reply>(keptMax, clock)
  return async (_exchange, caller) => {
    const key = JSON.stringify([caller.sub, caller.groups])
    const recent = kept.get(key)
    if (recent !== undefined) return recent
    try {
      const periods = periodsAt(clock.now())
      const rows = await read(caller, periods, admin.group_limit_mode, store)
      const reply = json(200, describe(rows, periods), [['Cache-Control', 'no-store']])
      kept.set(key, reply, clock.now() + keptMs)
      return reply
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      return text(503, 'spend limit unavailable', [['retry-after', String(retryAfterSeconds)]])
    }
  }
}

async function read(
  { sub, groups }: Caller,
  periods: Periods,
  mode: AdminConfig['group_limit_mode'],
  store: Store,
): Promise<readonly Row[]> {
  const { rows } = await store.query<Row>(
    `SELECT per.name AS period, coalesce(s.cents, 0) AS cents, cap.amount::text, cap.scope_type, cap.id
     FROM unnest($1::text[], $2::text[]) AS per (name, key)
     LEFT JOIN caps_by_period($3, $4, $5) AS cap ON cap.period = per.name
     LEFT JOIN spend AS s ON s.principal = $3 AND s.period = per.key`,
    [periodNames, periodNames.map((name) => periods[name].key), sub, groups, mode],
    { timeoutMs },
  )
  return rows
}

function describe(rows: readonly Row[], periods: Periods): object {
  const caps = rows.flatMap(({ period, cents, amount, scope_type, id }): CapState[] =>
    amount === null || scope_type === null || id === null
      ? []
      : [{ period, cap: BigInt(amount), source: scope_type, id, spent: cents }],
  )
  const limited = describeCaps(caps, periods).toSorted(
    (a, b) => periodNames.indexOf(a.period) - periodNames.indexOf(b.period),
  )
  const active = decisiveCap(limited)
  if (active === undefined) return describeUnlimited(rows)
  return {
    extra_usage: {
      is_enabled: true,
      monthly_limit: Number(active.cents),
      used_credits: Math.floor(active.spent),
      utilization: percent(active),
      currency: 'USD',
    },
    limits: limited.map((cap) => ({
      kind: 'spend',
      group: cap.period,
      percent: percent(cap),
      resets_at: new Date(cap.endsAt),
      severity: severity(utilization(cap)),
      is_active: cap === active,
    })),
  }
}

function describeUnlimited(rows: readonly Row[]): object {
  const used = (period: PeriodName): number =>
    Math.floor(rows.find((row) => row.period === period)?.cents ?? 0)
  const unlimited = (period: PeriodName) => ({
    limit: null,
    used_credits: used(period),
    utilization: null,
  })
  return {
    extra_usage: {
      is_enabled: true,
      monthly_limit: null,
      used_credits: used('monthly'),
      utilization: null,
      currency: 'USD',
      daily: unlimited('daily'),
      weekly: unlimited('weekly'),
    },
    limits: [],
  }
}

/** Whole percent; below the cap no rounding may say that it is reached. */
function percent(cap: DescribedCap): number {
  const share = Math.round(utilization(cap) * 100)
  return isSpent(cap.spent, cap.cents) ? Math.max(100, share) : Math.min(99, share)
}

function severity(share: number): 'normal' | 'warning' | 'critical' {
  if (share > 0.95) return 'critical'
  return share > 0.75 ? 'warning' : 'normal'
}
