/**
 * The parts that the sign-in handlers share, made once by `identity.ts`.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Audit, Log } from '../kernel/log.ts'
import type { RateLimit } from '../store/store.ts'
import type { BrowserCookie } from './browser-cookie.ts'
import type { Grants } from './grant.ts'
import type { IdentityOptions } from './options.ts'
import type { OriginOf } from './origin.ts'
import type { Provider } from './provider.ts'
import type { RevocationList } from './revocation-list.ts'
import type { Sessions } from './session.ts'
import type { States } from './state.ts'
import type { StoreBudget } from './store-budget.ts'

export interface Parts {
  readonly options: IdentityOptions
  readonly provider: Provider
  readonly sessions: Sessions
  readonly revocations: RevocationList
  readonly grants: Grants
  readonly states: States
  readonly cookie: BrowserCookie
  readonly originOf: OriginOf
  readonly rateLimit: RateLimit
  readonly budget: StoreBudget
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}
