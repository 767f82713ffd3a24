/**
 * What `/readyz` says of the database. It asks at most one question at a time, however many
 * probes come in, and waits two seconds at most.
 */
import type { Clock } from '../kernel/clock.ts'
import { createSingleFlight } from '../kernel/single-flight.ts'
import type { Store } from './store.ts'

/** Probes of orchestrators give up after seconds; a hung Postgres is no ready one by then. */
const timeoutMs = 2000

/** Null when ready, else what is not, as the probe's answer says it. */
export type StoreReadiness = () => Promise<string | null>

/** With a grace the store may be silent that long, counted from the first probe that noticed. */
export function createReadiness(
  store: Store,
  config: { readonly graceSeconds: number; readonly clock: Clock },
): StoreReadiness {
  const { graceSeconds, clock } = config
  const once = createSingleFlight<string | null>()
  let silentSince: number | null = null
  const probe = async (): Promise<string | null> => {
    const askedAt = clock.elapsed()
    if (await store.answers(timeoutMs)) {
      silentSince = null
      return null
    }
    silentSince ??= askedAt
    return clock.elapsed() - silentSince < graceSeconds * 1000 ? null : 'store unavailable'
  }
  return () => once('', probe)
}
