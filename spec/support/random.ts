/**
 * Random values that can be had again: a spec prints its seed when it fails, and
 * `GATEWAY_TEST_SEED=<seed>` runs it once more the same way.
 */
import { randomInt } from 'node:crypto'

export interface Random {
  readonly seed: number
  /** A whole number from 0 up to, but not including, `below`. */
  below(below: number): number
  /** True `percent` times out of a hundred. */
  chance(percent: number): boolean
  pick<T>(from: readonly [T, ...T[]]): T
}

export function createRandom(seed: number = chooseSeed()): Random {
  let state = seed >>> 0
  // Mulberry32: small, well spread, and the same everywhere.
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    seed,
    below,
    chance: (percent) => below(100) < percent,
    pick: (from) => from[below(from.length)] ?? from[0],
  }
}

function chooseSeed(): number {
  const given = process.env['GATEWAY_TEST_SEED']
  return given === undefined ? randomInt(2 ** 32) : Number(given)
}
