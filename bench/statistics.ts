/**
 * The arithmetic of the benchmark: medians, percentiles, and how far a median can be trusted.
 * `rounds.ts` and `client.ts` call it. Pure; it never rounds, so that a verdict is not decided
 * by what a table prints.
 */

/** A figure per round, boiled down. `low` and `high` enclose the true median at `coverage`. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
  /** Chance that the interval encloses the true median, 0 to 1. */
  readonly coverage: number
  readonly rounds: number
}

export type Verdict = 'reached' | 'missed' | 'undecided'

/** Narrower intervals than this would be guesses dressed up as results. */
const coverageWanted = 0.95

/** Middle value, or the mean of the two middle ones. NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = sort(values)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  if (sorted.length % 2 === 1) return upper
  return ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Nearest-rank percentile: the smallest value that `share` (0 to 1) of the values don't exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = sort(values)
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(share * sorted.length)))
  return sorted[rank - 1] ?? Number.NaN
}

/**
 * Median with its distribution-free interval: the k-th smallest and k-th largest value enclose
 * the true median with probability 1 - 2·P(Binomial(n, ½) < k), whatever the noise looks like.
 * Nine rounds give the second and the eighth value at 96 %. Too few rounds for the coverage wanted
 * give the whole range and say what that is worth.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = sort(values)
  const n = sorted.length
  let k = 1
  while (k + 1 <= n / 2 && medianCoverage(n, k + 1) >= coverageWanted) k++
  return {
    median: median(sorted),
    low: sorted[k - 1] ?? Number.NaN,
    high: sorted[n - k] ?? Number.NaN,
    coverage: n === 0 ? 0 : medianCoverage(n, k),
    rounds: n,
  }
}

/** A goal is missed only when the whole interval is above it, reached when its median is not. */
export function judge(figure: Estimate, goal: number): Verdict {
  if (figure.median <= goal) return 'reached'
  return figure.low > goal ? 'missed' : 'undecided'
}

/** Chance that the true median lies between the k-th smallest and the k-th largest of n values. */
export function medianCoverage(n: number, k: number): number {
  let below = 0
  let binomial = 1
  for (let i = 0; i < k; i++) {
    below += binomial
    binomial = (binomial * (n - i)) / (i + 1)
  }
  return Math.max(0, 1 - (2 * below) / 2 ** n)
}

function sort(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}
