/**
 * The three periods money is counted in, as the reference names them in its tables: a UTC day, an
 * ISO week and a month (wire/inference/6-spend). Pure; asked for every metered reply.
 */
export const periodNames = ['daily', 'weekly', 'monthly'] as const
export type PeriodName = (typeof periodNames)[number]

export interface Period {
  /** `2026-11-27`, `2026-W48` or `2026-11`. */
  readonly key: string
  /** Milliseconds since the epoch. */
  readonly startsAt: number
  /** The first millisecond of the next one. */
  readonly endsAt: number
}

export type Periods = Readonly<Record<PeriodName, Period>>

/** A UTC day, which has no leap seconds here. */
export const dayMs: number = 86_400_000
/** The epoch was a Thursday: its week began three days before it. */
const firstMondayMs = -3 * dayMs

/** Every call of a day asks, several times, and gets the same answer. */
let latest: Periods | undefined

/** The periods that hold `nowMs`, milliseconds since the epoch. */
export function periodsAt(nowMs: number): Periods {
  if (latest !== undefined && nowMs >= latest.daily.startsAt && nowMs < latest.daily.endsAt) {
    return latest
  }
  latest = { daily: dayOf(nowMs), weekly: weekOf(nowMs), monthly: monthOf(nowMs) }
  return latest
}

/** The beginning of the UTC day that holds `nowMs`. */
export function startOfDay(nowMs: number): number {
  return Math.floor(nowMs / dayMs) * dayMs
}

function dayOf(nowMs: number): Period {
  const startsAt = startOfDay(nowMs)
  return { key: isoDay(startsAt), startsAt, endsAt: startsAt + dayMs }
}

/** ISO 8601: weeks begin on Monday and belong to the year of their Thursday. */
function weekOf(nowMs: number): Period {
  const weekMs = 7 * dayMs
  const startsAt = firstMondayMs + Math.floor((nowMs - firstMondayMs) / weekMs) * weekMs
  const thursday = startsAt + 3 * dayMs
  const year = new Date(thursday).getUTCFullYear()
  const week = 1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / weekMs)
  return {
    key: `${year}-W${String(week).padStart(2, '0')}`,
    startsAt,
    endsAt: startsAt + weekMs,
  }
}

function monthOf(nowMs: number): Period {
  const at = new Date(nowMs)
  const startsAt = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1)
  const endsAt = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1)
  return { key: isoDay(startsAt).slice(0, 7), startsAt, endsAt }
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
