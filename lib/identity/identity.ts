/**
 * Sign-in, put together: the OpenID provider on one side, device grants and session tokens on the
 * other. The composition root makes it once and hands its handlers to the route table.
 */
import type { Egress } from '../egress/egress.ts'
import type { Exchange, Handler } from '../http/exchange.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Audit, Log } from '../kernel/log.ts'
import type { Kv, RateLimit } from '../store/store.ts'
import type { IdentityOptions } from './options.ts'

export interface IdentityDeps {
  readonly kv: Kv
  readonly rateLimit: RateLimit
  /** With the trust and proxy settings of `oidc`. */
  readonly egress: Pick<Egress, 'fetch'>
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

export interface IdentityHandlers {
  /** Any method. */
  readonly discovery: Handler
  readonly deviceAuthorization: Handler
  readonly token: Handler
  /** GET `/device`. */
  readonly devicePage: Handler
  /** POST `/device`. */
  readonly deviceSubmit: Handler
  readonly deviceDeny: Handler
  /** Any method. */
  readonly callback: Handler
}

export interface Identity {
  /** The caller of a bearer request. Audits and throws `session/invalid-token` otherwise. */
  authenticate(exchange: Exchange): Promise<Caller> | Caller
  readonly handlers: IdentityHandlers
  /** Loads the provider's metadata; boot waits for it and fails with it. */
  ready(): Promise<void>
  close(): void
}

export function createIdentity(_options: IdentityOptions, _deps: IdentityDeps): Identity {
  const unbuilt: Handler = () => fail('http/not-found')
  return {
    authenticate: () => fail('session/invalid-token'),
    handlers: {
      discovery: unbuilt,
      deviceAuthorization: unbuilt,
      token: unbuilt,
      devicePage: unbuilt,
      deviceSubmit: unbuilt,
      deviceDeny: unbuilt,
      callback: unbuilt,
    },
    ready: () => Promise.resolve(),
    close: () => {},
  }
}
