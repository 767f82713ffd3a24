/** The database's contracts while it refuses or hangs, for specs of what is answered then. */
import { GatewayError } from '../../lib/kernel/errors.ts'
import type { Kv, RateLimit } from '../../lib/store/store.ts'

type Outage = 'refuses' | 'hangs'

export function brokenStore(outage: Outage): { kv: Kv; rateLimit: RateLimit } {
  const fail = (): Promise<never> =>
    outage === 'hangs'
      ? new Promise(() => {})
      : Promise.reject(new GatewayError('store/unavailable'))
  return {
    kv: { get: fail, set: fail, take: fail, replace: fail, claim: fail, delete: fail },
    rateLimit: { hit: fail },
  }
}
