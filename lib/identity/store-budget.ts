/**
 * The database's share of a sign-in request. People and clients that wait get an answer within
 * three seconds whether Postgres is slow, hung or gone; that it is gone is a value here.
 */
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail, GatewayError } from '../kernel/errors.ts'
import { withDeadline } from './deadline.ts'

/** All statements of one request together; half a second is left for the rest of it. */
const budgetMs = 2500

export interface StoreBudget {
  /** Null when the store did not answer in time or at all. */
  attempt<T>(work: () => Promise<T>): Promise<{ readonly value: T } | null>
  /** As above, for clients of OAuth: throws `oauth/temporarily-unavailable`. */
  require<T>(work: () => Promise<T>): Promise<T>
}

export function createStoreBudget(clock: Clock): StoreBudget {
  const run = <T>(work: () => Promise<T>): Promise<T> =>
    withDeadline(clock, 'store', budgetMs, work)
  return {
    async attempt(work) {
      try {
        return { value: await run(work) }
      } catch (error) {
        if (isOutage(error)) return null
        throw error
      }
    },
    async require(work) {
      try {
        return await run(work)
      } catch (error) {
        if (!isOutage(error)) throw error
        return fail('oauth/temporarily-unavailable', { cause: error })
      }
    },
  }
}

function isOutage(error: unknown): boolean {
  return (
    error instanceof DeadlineExceeded ||
    (error instanceof GatewayError && error.code === 'store/unavailable')
  )
}
