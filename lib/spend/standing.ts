/**
 * Where a caller stands with regard to their caps and their groups' shared budgets: the decision
 * behind every 429 and every usage header. Pure; the figures come from `account.ts`.
 */
import { DayCents } from './day-cents.ts'
import { type PeriodName, type Periods, periodNames, periodsAt } from './period.ts'
import type { CapState, PoolState } from './sync.ts'

/** The cap that is described to the caller: the fullest one, or the one that blocks. */
export interface DescribedCap {
  readonly period: PeriodName
  readonly cents: bigint
  readonly spent: number
  readonly source: CapState['source']
  readonly endsAt: number
}

export type Standing =
  /** No cap holds for this caller. */
  | { readonly kind: 'open' }
  | { readonly kind: 'within'; readonly cap: DescribedCap }
  | { readonly kind: 'over-cap'; readonly cap: DescribedCap }
  | {
      readonly kind: 'over-pool'
      readonly groups: readonly string[]
      readonly cents: bigint
      readonly spent: number
      readonly endsAt: number
    }

/** A cap blocks from the moment it is spent; a cap of 0 always does. */
export function isSpent(spent: number, cents: bigint): boolean {
  return spent >= Number(cents)
}

/** `since`: what was spent beside the figures of the caps. */
export function standingOf(
  caps: readonly CapState[],
  pools: readonly PoolState[],
  nowMs: number,
  since: DayCents = new DayCents(),
): Standing {
  const periods = periodsAt(nowMs)
  const decisive = decisiveCap(describeCaps(caps, periods, since))
  if (decisive !== undefined && isSpent(decisive.spent, decisive.cents)) {
    return { kind: 'over-cap', cap: decisive }
  }
  const [empty, ...others] = pools.filter(({ spent, limit }) => isSpent(spent, limit))
  if (empty !== undefined) {
    const { limit, spent } = empty
    const groups = [empty, ...others].map(({ group }) => group)
    return { kind: 'over-pool', groups, cents: limit, spent, endsAt: periods.monthly.endsAt }
  }
  return decisive === undefined ? { kind: 'open' } : { kind: 'within', cap: decisive }
}

/** The cap that is spoken of: of those that are spent the one that resets last, else the fullest. */
export function decisiveCap(limited: readonly DescribedCap[]): DescribedCap | undefined {
  let last: DescribedCap | undefined
  let fullest: DescribedCap | undefined
  for (const cap of limited) {
    if (fullest === undefined || byShare(cap, fullest) < 0) fullest = cap
    if (isSpent(cap.spent, cap.cents) && (last === undefined || byReset(cap, last) < 0)) last = cap
  }
  return last ?? fullest
}

/** Spent as a share of the cap, unrounded. A cap of 0 is full. */
export function utilization({ spent, cents }: Pick<DescribedCap, 'spent' | 'cents'>): number {
  return cents === 0n ? 1 : spent / Number(cents)
}

/** The caps that limit something. */
export function describeCaps(
  caps: readonly CapState[],
  periods: Periods,
  since: DayCents = new DayCents(),
): DescribedCap[] {
  const limited: DescribedCap[] = []
  for (const { period, cap: cents, spent: known, source } of caps) {
    if (cents === null) continue
    const { startsAt, endsAt } = periods[period]
    limited.push({ period, cents, spent: known + since.from(startsAt), source, endsAt })
  }
  return limited
}

/** The fullest first; of two that are as full the longer one. */
function byShare(a: DescribedCap, b: DescribedCap): number {
  return utilization(b) - utilization(a) || byLength(a, b)
}

function byLength(a: DescribedCap, b: DescribedCap): number {
  return periodNames.indexOf(b.period) - periodNames.indexOf(a.period)
}

/** Waiting for the last one to reset is what helps; of two that reset together the longer one. */
function byReset(a: DescribedCap, b: DescribedCap): number {
  return b.endsAt - a.endsAt || byLength(a, b)
}
