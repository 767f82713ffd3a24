/**
 * `/.well-known/oauth-authorization-server` (RFC 8414): the first thing a client asks. It uses
 * the endpoints only on the origin it was given, and ignores fields it does not know.
 */
import type { Handler } from '../http/exchange.ts'
import { json } from '../http/reply.ts'
import type { OriginOf } from './origin.ts'

/** Field order is the wire's. `revokes` tells whether revocation may be promised. */
export function createDiscoveryDocument(
  originOf: OriginOf,
  revokes: () => boolean = () => false,
): Handler {
  return (exchange) => {
    const origin = originOf(exchange)
    return json(200, {
      issuer: origin,
      device_authorization_endpoint: `${origin}/oauth/device_authorization`,
      token_endpoint: `${origin}/oauth/token`,
      revocation_endpoint: revokes() ? `${origin}/oauth/revoke` : undefined,
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: ['none'],
      scopes_supported: ['openid', 'profile', 'email'],
      gateway_protocol_version: 1,
    })
  }
}
