/** Amounts as the Admin API writes them. The database holds cents as doubles, unrounded. */

/** Below a millionth of a cent doubles of large sums hold no truth. */
const decimals = 6

/** Decimal cents without trailing zeros: `2.1`, `0`, `437.106`. */
export function formatCents(cents: number): string {
  const text = fixedCents(cents).replace(/\.?0+$/, '')
  return text === '-0' || text === '' ? '0' : text
}

/** Decimal cents with all six decimals: `437.106000`. */
export function fixedCents(cents: number): string {
  // toFixed changes to an exponent from 10^21 on; no sum of money gets there.
  return Math.min(cents, 1e20).toFixed(decimals)
}
