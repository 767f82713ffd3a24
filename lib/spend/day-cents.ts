/**
 * Cents by the UTC day they were spent on, for what one replica has not written yet: at midnight
 * it is no part of the new day's caps, but still of the week's. Arithmetic only.
 */

/** No price is that small. */
const roundingCents = 1e-9

interface Day {
  /** When it begins, milliseconds since the epoch. */
  readonly at: number
  cents: number
}

export class DayCents {
  /** Nearly always one: what waits is written within moments. */
  readonly #days: Day[]

  constructor(days: readonly Day[] = []) {
    this.#days = days.map(({ at, cents }) => ({ at, cents }))
  }

  get total(): number {
    return this.from(Number.NEGATIVE_INFINITY)
  }

  /** Of the days that begin at `startsAt` or later. */
  from(startsAt: number): number {
    let sum = 0
    for (const { at, cents } of this.#days) if (at >= startsAt) sum += cents
    return sum
  }

  add(day: number, cents: number): void {
    const known = this.#find(day)
    if (known === undefined) this.#days.push({ at: day, cents })
    else known.cents += cents
  }

  take(day: number, cents: number): void {
    const known = this.#find(day)
    if (known === undefined) return
    known.cents -= cents
    // Rounding of sums must not leave a debt of a millionth of a cent for ever.
    if (known.cents <= roundingCents) this.#days.splice(this.#days.indexOf(known), 1)
  }

  copy(): DayCents {
    return new DayCents(this.#days)
  }

  #find(day: number): Day | undefined {
    for (const known of this.#days) if (known.at === day) return known
    return undefined
  }
}
