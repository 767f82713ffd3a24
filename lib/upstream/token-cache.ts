/**
 * Keeps the credential that a provider's requests are signed in with, for every source of such
 * credentials. Renewed in the background ahead of its end, one fetch at a time; while renewing
 * fails the old one is used for as long as it holds. Nobody ever waits longer than the deadline:
 * a source that is slow or broken is a failure of its upstream, never a hang.
 */
import { describeFailure } from '../egress/describe-failure.ts'
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Cancellation } from '../kernel/cancellation.ts'
import type { ProviderDeps } from './upstream.ts'

export interface Expiring {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** A bearer token. */
export interface Token extends Expiring {
  readonly value: string
}

/** Fetches a new credential; the signal aborts at the deadline, which ends the wait regardless. */
export type TokenSource<T extends Expiring> = (signal: AbortSignal) => Promise<T>

export interface TokenCache<T extends Expiring> {
  /**
   * A credential that holds now; waits only when there is none. Rejects with the source's failure,
   * with `DeadlineExceeded`, or with the signal's reason.
   */
  get(signal: Cancellation): Promise<T>
  /** The provider refused `token`: it may have been revoked, so another is fetched. */
  refuse(token: T): void
}

/** Longest wait for a source, command-line helpers and metadata services included. */
const fetchMaxMs = 10_000

/** Renewed this long before the end: enough for a source that is away for minutes. */
const renewBeforeMs = 5 * 60_000

/** Pause after a failure, so that a broken source is not asked by every request. */
const retryAfterMs = 1_000

/** Younger tokens are not doubted: a provider that refuses every token would double its load. */
const doubtAfterMs = 60_000

interface Held<T> {
  readonly token: T
  readonly fetchedAt: number
  readonly renewAt: number
}

/** `what` names the credential in the log, such as `access token of vertex`. */
export function createTokenCache<T extends Expiring>(
  { clock, log }: Pick<ProviderDeps, 'clock' | 'log'>,
  what: string,
  source: TokenSource<T>,
): TokenCache<T> {
  let held: Held<T> | null = null
  let flight: Promise<T> | null = null
  let failed: { readonly error: unknown; readonly until: number } | null = null

  const fetchOnce = async (): Promise<T> => {
    const limit = new AbortController()
    const timer = clock.after(fetchMaxMs, () => {
      limit.abort(new DeadlineExceeded(`fetching the ${what}`, fetchMaxMs))
    })
    try {
      const token = await orAborted(source(limit.signal), limit.signal)
      const fetchedAt = clock.now()
      // Of a short life the second half is for renewing.
      const margin = Math.min(renewBeforeMs, (token.expiresAt - fetchedAt) / 2)
      held = { token, fetchedAt, renewAt: token.expiresAt - margin }
      failed = null
      return token
    } catch (error) {
      failed = { error, until: clock.now() + retryAfterMs }
      throw error
    } finally {
      timer.cancel()
    }
  }

  const takeOff = (): Promise<T> => {
    flight = fetchOnce().finally(() => {
      flight = null
    })
    return flight
  }

  const renew = (expiresAt: number): void => {
    takeOff().catch((error: unknown) => {
      const until = new Date(expiresAt).toISOString()
      log.warn(
        `the ${what} could not be renewed and is used until ${until}: ${describeFailure(error)}`,
      )
    })
  }

  return {
    async get(signal) {
      const now = clock.now()
      const mayFetch = flight === null && (failed === null || now >= failed.until)
      if (held !== null && now < held.token.expiresAt) {
        if (now >= held.renewAt && mayFetch) renew(held.token.expiresAt)
        return held.token
      }
      if (flight !== null) return orAborted(flight, signal)
      if (failed !== null && !mayFetch) throw failed.error
      return orAborted(takeOff(), signal)
    },
    refuse(token) {
      if (held?.token === token && clock.now() - held.fetchedAt >= doubtAfterMs) held = null
    },
  }
}

/** A token that the operator gave, for providers that are signed in to in several ways. */
export function fixedToken(value: string): TokenCache<Token> {
  const token = { value, expiresAt: Infinity }
  return { get: () => Promise.resolve(token), refuse: () => {} }
}

/** `promise`, or the signal's reason when that comes first; the promise goes on unheard. */
async function orAborted<T>(promise: Promise<T>, signal: Cancellation): Promise<T> {
  let stop = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
  })
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
