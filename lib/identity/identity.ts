/**
 * Sign-in, put together: the OpenID provider on one side, device grants and session tokens on the
 * other. The composition root makes it once and hands its handlers to the route table.
 */
import type { Egress } from '../egress/egress.ts'
import type { Exchange, Handler } from '../http/exchange.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Audit, Log } from '../kernel/log.ts'
import type { Hints } from '../store/notify.ts'
import type { Kv, RateLimit, Store } from '../store/store.ts'
import { createAuthenticate } from './authenticate.ts'
import { createBrowserCookie } from './browser-cookie.ts'
import { createCallback } from './callback.ts'
import { createDeviceAuthorization } from './device-authorization.ts'
import { createDeviceForms } from './device-form.ts'
import { createDevicePage } from './device-page.ts'
import { createDiscoveryDocument } from './discovery-document.ts'
import { createGrants } from './grant.ts'
import type { GoogleSource } from './identify.ts'
import type { IdentityOptions } from './options.ts'
import { createOriginOf } from './origin.ts'
import type { Parts } from './parts.ts'
import { createProvider } from './provider.ts'
import { createRevocationList, noRevocations } from './revocation-list.ts'
import { createRevoke } from './revoke.ts'
import { createSeal } from './seal.ts'
import { createSessionKeys } from './session-key.ts'
import { createSessions } from './session.ts'
import { createStates } from './state.ts'
import { createStoreBudget } from './store-budget.ts'
import { createTokenEndpoint } from './token.ts'

export interface IdentityDeps {
  readonly kv: Kv
  readonly rateLimit: RateLimit
  /** With the trust and proxy settings of `oidc`. */
  readonly egress: Pick<Egress, 'fetch'>
  /** With the system's trust, for `oidc.google_groups`; without it, what the provider has. */
  readonly google?: GoogleSource | undefined
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  /** Without it no session can be revoked, and nobody is told otherwise. */
  readonly revocation?: { readonly store: Store; readonly hints: Hints } | undefined
}

export interface IdentityHandlers {
  /** Any method. */
  readonly discovery: Handler
  readonly deviceAuthorization: Handler
  readonly token: Handler
  readonly revoke: Handler
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
  /** The caller of a valid bearer, else null: for routes with credentials of their own. */
  identify(exchange: Exchange): Promise<Caller | null>
  readonly handlers: IdentityHandlers
  /** Loads the provider's metadata; boot waits for it and fails with it. */
  ready(): Promise<void>
  /** Loads the revoked sessions, once the database is there. Before it nothing is revoked. */
  start(): Promise<void>
  /** How many sessions are revoked that would not have ended yet; some are not remembered. */
  revokedSessions(): number
  close(): void
}

export function createIdentity(options: IdentityOptions, deps: IdentityDeps): Identity {
  const { kv, rateLimit, clock, log, audit } = deps
  const keys = createSessionKeys(options.session.jwt_secret)
  const revocations =
    deps.revocation === undefined
      ? noRevocations
      : createRevocationList({ ...deps.revocation, clock, log }, () => sessions.forget())
  const sessions = createSessions({ ...options, ...options.session }, keys, clock, (signedPart) =>
    revocations.has(signedPart),
  )
  const secure = options.public_url?.startsWith('https:') ?? options.tls
  const parts: Parts = {
    options,
    provider: createProvider(options.oidc, deps),
    sessions,
    revocations,
    grants: createGrants(kv, createSeal(keys, 'device grant'), clock),
    states: createStates(createSeal(keys, 'sign-in state'), options.oidc.use_pkce, clock),
    cookie: createBrowserCookie(secure),
    originOf: createOriginOf(options.public_url, options.tls),
    rateLimit,
    budget: createStoreBudget(clock),
    clock,
    log,
    audit,
  }
  const forms = createDeviceForms(parts)
  return {
    authenticate: createAuthenticate(sessions, audit),
    async identify({ headers: { authorization } }) {
      if (authorization === undefined) return null
      return sessions.recall(authorization) ?? (await sessions.verify(authorization)) ?? null
    },
    handlers: {
      discovery: createDiscoveryDocument(parts.originOf, () => revocations.active),
      deviceAuthorization: createDeviceAuthorization(parts),
      token: createTokenEndpoint(parts),
      revoke: createRevoke(parts),
      devicePage: createDevicePage(parts),
      deviceSubmit: forms.submit,
      deviceDeny: forms.deny,
      callback: createCallback(parts),
    },
    ready: () => parts.provider.ready(),
    start: () => revocations.start(),
    revokedSessions: () => revocations.size(),
    close: () => revocations.stop(),
  }
}
