/**
 * Warns every day of certificates that are about to end; boot warns by itself, from the check of
 * the configuration. Made by the composition root for the listener and for sign-in.
 */
import type { X509Certificate } from 'node:crypto'
import type { Clock, Timer } from './kernel/clock.ts'
import type { Log } from './kernel/log.ts'
import { expiryWarning } from './schema/certificate.ts'

export interface WatchedCertificate {
  /** The key that it is configured with, for the warning. */
  readonly key: string
  /** Asked anew each day: certificates are renewed while the gateway runs. */
  readonly current: () => X509Certificate
}

const dayMs = 86_400_000

export function watchExpiry(
  certificates: readonly WatchedCertificate[],
  clock: Clock,
  log: Log,
): Timer {
  return clock.every(dayMs, () => {
    for (const { key, current } of certificates) {
      const warning = expiryWarning(current(), clock.now())
      if (warning !== null) log.warn(`${key}: ${warning}`)
    }
  })
}
