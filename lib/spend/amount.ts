/**
 * Money, exact: whole multiples of 10^-40 USD in a bigint, so that amounts are added and compared
 * without ever rounding, whatever the price list they came from and however many they are. Used
 * by pricing and by whoever sums spend; a double only leaves here, at the very end.
 */

/** Money in units of 10^-40 USD. Add and compare with the operators of bigint. */
export type Amount = bigint

/**
 * Decimal places of a USD. Six go to "per million tokens"; the other 34 hold the product of a
 * rate and a multiplier with 17 places each, which is all that doubles of 0.1 and above have.
 * Smaller numbers are exact too unless somebody writes more digits than prices have.
 */
const places = 40
/** Of a cent. */
const centPlaces = places - 2

/**
 * Most things of one kind that one reply is charged for; from here on doubles skip whole numbers.
 * It keeps what a broken upstream reports within what the database can add up.
 */
const countMax = Number.MAX_SAFE_INTEGER

interface Decimal {
  readonly digits: bigint
  /** Value = digits × 10^exponent. */
  readonly exponent: number
}

/** The number a person wrote: the shortest decimal that reads back as `value`. */
function decimalOf(value: number): Decimal {
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

/** `digits` × 10^`exponent`, to the nearest whole number. */
function shift(digits: bigint, exponent: number): bigint {
  if (exponent >= 0) return digits * 10n ** BigInt(exponent)
  const divisor = 10n ** BigInt(-exponent)
  return (digits + divisor / 2n) / divisor
}

/** `usd` × `factor` ÷ 10^`powerOfTen`; neither number may be negative or infinite. */
export function amountOf(usd: number, factor = 1, powerOfTen = 0): Amount {
  const left = decimalOf(usd)
  const right = decimalOf(factor)
  const exponent = left.exponent + right.exponent - powerOfTen + places
  return shift(left.digits * right.digits, exponent)
}

/**
 * `count` things at `each`. A count below 0 or that is no number is none; a fraction is charged
 * as one.
 */
export function times(each: Amount, count: number): Amount {
  if (!Number.isFinite(count) || count <= 0) return 0n
  if (Number.isInteger(count)) return each * BigInt(Math.min(count, countMax))
  const { digits, exponent } = decimalOf(count)
  return shift(each * digits, exponent)
}

/** The double nearest to an amount, in cents: the one rounding of the whole way. */
export function toCents(amount: Amount): number {
  // The conversion of decimal text is the language's only one that rounds correctly.
  return Number(`${amount}e-${centPlaces}`)
}
