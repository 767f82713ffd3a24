/**
 * `POST /oauth/device_authorization` (RFC 8628 section 3.1): a device asks for a code. Anybody
 * may, so it costs two rows and is counted per address; the body means nothing and is not read.
 */
import type { Handler, Reply } from '../http/exchange.ts'
import { json, noStore } from '../http/reply.ts'
import { grantSeconds, pollSeconds } from './grant.ts'
import type { Parts } from './parts.ts'

export function createDeviceAuthorization(parts: Parts): Handler {
  const { options, grants, originOf, rateLimit, budget, log, audit } = parts
  const { max, window_seconds } = options.rate_limits.device_authorization

  return async (exchange) => {
    const { requestId, clientAddress } = exchange
    const origin = originOf(exchange)
    const record = (result: 'success' | 'rate_limited'): void =>
      audit('device.authorize', { request_id: requestId, result, client_ip: clientAddress })

    const begun = await budget.require(async () => {
      const verdict = await rateLimit.hit(`rl:devauth:${clientAddress}`, max, window_seconds)
      return verdict.allowed ? grants.begin(clientAddress) : verdict
    })
    if ('retryAfterSeconds' in begun) {
      record('rate_limited')
      log.warn(
        `sign-in refused for ${clientAddress}: more than ${max} started within ${window_seconds} s; when many people share the address, raise rate_limits.device_authorization.max`,
      )
      return tooMany(begun.retryAfterSeconds)
    }
    record('success')
    const { deviceCode, userCode } = begun
    return json(
      200,
      {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: `${origin}/device`,
        verification_uri_complete: `${origin}/device?user_code=${userCode}`,
        expires_in: grantSeconds,
        interval: pollSeconds,
        login_notice: options.login_notice,
      },
      noStore,
    )
  }
}

function tooMany(retryAfterSeconds: number): Reply {
  return json(
    429,
    {
      error: 'slow_down',
      error_description:
        'Too many sign-in attempts came from your network, which other people may share.',
    },
    [...noStore, ['Retry-After', String(retryAfterSeconds)]],
  )
}
