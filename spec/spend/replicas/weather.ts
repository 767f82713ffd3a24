/**
 * The network between one simulated replica and the database: real statements on a real store,
 * delayed, lost, refused, or executed long after the replica gave them up, all in simulated time.
 */
import { DeadlineExceeded } from '../../../lib/kernel/abort.ts'
import type { Clock } from '../../../lib/kernel/clock.ts'
import { GatewayError } from '../../../lib/kernel/errors.ts'
import type { QueryOptions, QueryResult, Store } from '../../../lib/store/store.ts'
import type { Random } from '../../support/random.ts'
import { plenty } from '../../support/store.ts'

export type Weather =
  | 'fair'
  /** Statements and answers take their time; sums beyond the deadline happen. */
  | 'slow'
  /** One statement in two is executed, and its answer lost at once. */
  | 'lossy'
  | 'refusing'
  /** No answers; statements arrive seconds later or never. */
  | 'hanging'

/** Statements the database is really working on: simulated time stands still meanwhile. */
export class Traffic {
  readonly #running = new Set<Promise<unknown>>()

  run<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#running.delete(done)).catch(() => {})
    this.#running.add(done)
    return work
  }

  /** Until nothing is under way and everybody has drawn their conclusions. */
  async quiet(): Promise<void> {
    do {
      await Promise.all(this.#running)
      await new Promise((resolve) => setImmediate(resolve))
    } while (this.#running.size > 0)
  }
}

interface Parts {
  readonly store: Store
  readonly traffic: Traffic
  /** Goes on when the replica is dead: what is on the network arrives. */
  readonly clock: Clock
  readonly random: Random
  readonly weather: () => Weather
}

export function weathered({ store, traffic, clock, random, weather }: Parts): Store {
  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => (ms <= 0 ? resolve() : clock.after(ms, resolve)))
  const fail = (detail: string) => new GatewayError('store/unavailable', { detail })
  return {
    ...store,
    query<Row>(text: string, values: readonly unknown[], { timeoutMs }: QueryOptions) {
      const execute = (): Promise<QueryResult<Row>> =>
        traffic.run(store.query<Row>(text, values, plenty))
      const late = (delayMs: number): void => {
        void sleep(delayMs)
          .then(execute)
          .catch(() => {})
      }
      const withinDeadline = (work: Promise<QueryResult<Row>>): Promise<QueryResult<Row>> =>
        new Promise((resolve, reject) => {
          work.then(resolve, reject)
          clock.after(timeoutMs, () => reject(new DeadlineExceeded('the database call', timeoutMs)))
        })
      const slowly = async (): Promise<QueryResult<Row>> => {
        await sleep(random.below(500))
        const result = await execute()
        await sleep(random.below(1400))
        return result
      }
      switch (weather()) {
        case 'fair':
          return execute()
        case 'slow':
          return withinDeadline(slowly())
        case 'lossy':
          if (random.chance(50)) return execute()
          return execute().then(() => Promise.reject(fail('the connection was reset')))
        case 'refusing':
          return Promise.reject(fail('connection refused'))
        case 'hanging':
          if (random.chance(50)) late(random.below(4000))
          return withinDeadline(new Promise(() => {}))
      }
    },
    transaction: (work, options) =>
      weather() === 'fair'
        ? traffic.run(store.transaction(work, { ...options, ...plenty }))
        : Promise.reject(fail('connection refused')),
  }
}
