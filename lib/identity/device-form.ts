/**
 * The forms of the device page: approve (`POST /device`) leads to the identity provider, deny
 * (`POST /device/deny`) ends the grant. Refusals are pages with status 200, as clients of this
 * page are people; only an outage of the store has a status of its own.
 */
import type { Exchange, Handler, HeaderList, Reply } from '../http/exchange.ts'
import { redirect } from '../http/reply.ts'
import { enterCodePage } from '../page/device-pages.ts'
import { replyPage, signInPolicy } from '../page/document.ts'
import { deniedPage, endingPage } from '../page/result-pages.ts'
import { readForm } from './form.ts'
import type { PendingGrant } from './grant.ts'
import { loginNotice } from './login-notice.ts'
import { isSameOrigin } from './origin.ts'
import type { Parts } from './parts.ts'

/** What a form led to: a grant to act on, or the page that says why not. */
type Submission =
  | { readonly ok: true; readonly grant: PendingGrant }
  | { readonly ok: false; readonly reply: Reply }

export function createDeviceForms(parts: Parts): { submit: Handler; deny: Handler } {
  const { provider, states, cookie, grants, originOf, budget, audit } = parts
  const accept = createAccept(parts)

  return {
    async submit(exchange) {
      const submission = await accept(exchange)
      if (!submission.ok) return submission.reply
      const redirect_uri = `${originOf(exchange)}/oauth/callback`
      const issued = await states.issue(submission.grant.key, redirect_uri)
      const location = await provider.authorizationUrl({ redirect_uri, ...issued })
      audit('device.verify', {
        request_id: exchange.requestId,
        result: 'redirect',
        client_ip: exchange.clientAddress,
      })
      return redirect(location, [cookie.set(issued.cookie)])
    },
    async deny(exchange) {
      const submission = await accept(exchange)
      if (!submission.ok) return submission.reply
      const { grant } = submission
      const denied = await budget.attempt(() => grants.deny(grant))
      if (denied === null) return outage(exchange)
      // Somebody approved between the look and the move; approval stands.
      if (!denied.value) return refuse(parts, exchange, 'unknown_code')
      audit('device.deny', {
        request_id: exchange.requestId,
        result: 'denied',
        client_ip: exchange.clientAddress,
        requested_from: grant.requestedFrom,
        requested_at: grant.requestedAt.toISOString(),
      })
      return replyPage(deniedPage(), { policy: signInPolicy([]) })
    },
  }
}

/** The checks both forms share, in their order: whose form, how often, which code. */
function createAccept(parts: Parts): (exchange: Exchange) => Promise<Submission> {
  const { options, grants, originOf, rateLimit, budget } = parts
  const { max, window_seconds } = options.rate_limits.device_verify
  return async (exchange) => {
    if (!isSameOrigin(exchange, originOf(exchange))) {
      return { ok: false, reply: await refuse(parts, exchange, 'csrf_rejected') }
    }
    const typed = (await readForm(exchange))?.get('user_code') ?? ''
    const found = await budget.attempt(async () => {
      const key = `rl:device:${exchange.clientAddress}`
      const verdict = await rateLimit.hit(key, max, window_seconds)
      return verdict.allowed ? grants.findByUserCode(typed) : verdict
    })
    if (found === null) return { ok: false, reply: outage(exchange) }
    const { value } = found
    if (value === null) return { ok: false, reply: await refuse(parts, exchange, 'unknown_code') }
    if ('retryAfterSeconds' in value) {
      const retryAfter: HeaderList = [['Retry-After', String(value.retryAfterSeconds)]]
      const wait = `Try again in ${inWords(value.retryAfterSeconds)}.`
      return { ok: false, reply: await refuse(parts, exchange, 'rate_limited', retryAfter, wait) }
    }
    return { ok: true, grant: value }
  }
}

type Refusal = 'csrf_rejected' | 'rate_limited' | 'unknown_code'

const problems: Readonly<Record<Refusal, string>> = {
  csrf_rejected:
    'This request came from another site, so nothing was done. Enter the code here yourself.',
  rate_limited: 'Too many attempts came from this network.',
  unknown_code: 'This code is not known or has expired. Check it, or start again on your device.',
}

async function refuse(
  { options, provider, originOf, log, audit }: Parts,
  exchange: Exchange,
  result: Refusal,
  last: HeaderList = [],
  next = '',
): Promise<Reply> {
  const { requestId, clientAddress } = exchange
  audit('device.verify', { request_id: requestId, result, client_ip: clientAddress })
  if (result === 'rate_limited') {
    const { max, window_seconds } = options.rate_limits.device_verify
    log.warn(
      `sign-in refused for ${clientAddress}: more than ${max} codes entered within ${window_seconds} s; when many people share the address, raise rate_limits.device_verify.max`,
    )
  }
  const notice = loginNotice(options.login_notice, originOf(exchange))
  const policy = signInPolicy(await provider.formActionOrigins())
  const problem = `${problems[result]} ${next}`.trimEnd()
  return replyPage(enterCodePage({ problem, notice }), { policy, last })
}

/** As exact as `Retry-After`, never less than it, and in units that people wait in. */
function inWords(seconds: number): string {
  const [count, unit] =
    seconds <= 90
      ? [seconds, 'second']
      : seconds <= 90 * 60
        ? [Math.ceil(seconds / 60), 'minute']
        : [Math.ceil(seconds / 3600), 'hour']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

function outage(exchange: Exchange): Reply {
  return replyPage(endingPage('temporarily-unavailable', exchange.requestId), {
    policy: signInPolicy([]),
    status: 503,
    last: [['Retry-After', '5']],
  })
}
