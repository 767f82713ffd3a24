/**
 * Cents by the UTC day they were spent on, for what one replica has not written yet: at midnight
 * it is no part of the new day's caps, but still of the week's. Arithmetic only.
 */

/** No price is that small. */
const roundingCents = 1e-9

export class DayCents {
  /** Nearly always one: what waits is written within moments. */
  readonly #days: Map<number, number>

  constructor(days: Iterable<readonly [number, number]> = []) {
    this.#days = new Map(days)
  }

  get total(): number {
    return this.from(Number.NEGATIVE_INFINITY)
  }

  /** Of the days that begin at `startsAt` or later. */
  from(startsAt: number): number {
    let sum = 0
    for (const [day, cents] of this.#days) if (day >= startsAt) sum += cents
    return sum
  }

  add(day: number, cents: number): void {
    this.#days.set(day, (this.#days.get(day) ?? 0) + cents)
  }

  take(day: number, cents: number): void {
    const left = (this.#days.get(day) ?? 0) - cents
    // Rounding of sums must not leave a debt of a millionth of a cent for ever.
    if (left > roundingCents) this.#days.set(day, left)
    else this.#days.delete(day)
  }

  copy(): DayCents {
    return new DayCents(this.#days)
  }
}
