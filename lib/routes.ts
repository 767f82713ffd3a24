/**
 * The whole HTTP surface on one screen: method, path, who may call, who answers. Everything else
 * is 401 without a session and 404 with one.
 */
import { handleHealthz } from './http/health.ts'
import type { CallerHandler, Handler } from './http/exchange.ts'
import type { Route } from './http/router.ts'
import type { IdentityHandlers } from './identity/identity.ts'
import { type AdminHandlers, costPath, limitsPath } from './spend/admin/admin.ts'

export interface RouteHandlers {
  readonly readyz: Handler
  readonly landing: Handler
  readonly protocol: Handler
  readonly identity: IdentityHandlers
  readonly models: CallerHandler
  readonly managedSettings: CallerHandler
  readonly bootstrap: CallerHandler
  readonly messages: CallerHandler
  readonly countTokens: CallerHandler
  readonly usage: CallerHandler
  /** Null without `admin`: its paths are like any unknown one then. */
  readonly admin: AdminHandlers | null
  readonly telemetry: Readonly<Record<'metrics' | 'logs' | 'traces', CallerHandler>>
}

export function createRoutes(handlers: RouteHandlers): readonly Route[] {
  const { readyz, landing, protocol, identity } = handlers
  const { managedSettings, bootstrap, models, messages, countTokens, telemetry } = handlers
  const { usage, admin } = handlers
  return [
    { method: 'GET+HEAD', path: '/healthz', access: 'health', handle: handleHealthz },
    { method: 'GET+HEAD', path: '/readyz', access: 'health', handle: readyz },
    { method: 'GET+HEAD', path: '/', access: 'open', handle: landing },
    { method: 'GET', path: '/protocol', access: 'open', handle: protocol },
    {
      method: 'ANY',
      path: '/.well-known/oauth-authorization-server',
      access: 'open',
      handle: identity.discovery,
    },
    {
      method: 'POST',
      path: '/oauth/device_authorization',
      access: 'open',
      handle: identity.deviceAuthorization,
    },
    { method: 'POST', path: '/oauth/token', access: 'open', handle: identity.token },
    { method: 'POST', path: '/oauth/revoke', access: 'open', handle: identity.revoke },
    { method: 'ANY', path: '/oauth/callback', access: 'open', handle: identity.callback },
    { method: 'GET', path: '/device', access: 'open', handle: identity.devicePage },
    { method: 'POST', path: '/device', access: 'open', handle: identity.deviceSubmit },
    { method: 'POST', path: '/device/deny', access: 'open', handle: identity.deviceDeny },
    { method: 'ANY', path: '/managed/settings', access: 'caller', handle: managedSettings },
    { method: 'GET', path: '/user/bootstrap', access: 'caller', handle: bootstrap },
    { method: 'GET', path: '/v1/models', access: 'caller', handle: models },
    { method: 'POST', path: '/v1/messages', access: 'caller', handle: messages },
    { method: 'POST', path: '/v1/messages/count_tokens', access: 'caller', handle: countTokens },
    { method: 'POST', path: '/v1/metrics', access: 'caller', handle: telemetry.metrics },
    { method: 'POST', path: '/v1/logs', access: 'caller', handle: telemetry.logs },
    { method: 'POST', path: '/v1/traces', access: 'caller', handle: telemetry.traces },
    { method: 'GET', path: '/api/oauth/usage', access: 'caller', handle: usage },
    ...(admin === null
      ? []
      : ([
          { access: 'admin', prefix: limitsPath, below: true, handle: admin.limits },
          { access: 'admin', prefix: costPath, below: false, handle: admin.cost },
        ] as const)),
  ]
}
