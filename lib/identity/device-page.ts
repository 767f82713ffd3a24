/**
 * `GET /device`: the form for a code, or with `?user_code=` the question whether to go on. It
 * changes nothing and decides nothing; a code in a link is shown, never trusted.
 */
import type { Handler } from '../http/exchange.ts'
import { createCache } from '../kernel/cache.ts'
import type { Clock } from '../kernel/clock.ts'
import { confirmCodePage, enterCodePage, type Requester } from '../page/device-pages.ts'
import { replyPage, signInPolicy } from '../page/document.ts'
import { withDeadline } from './deadline.ts'
import { loginNotice } from './login-notice.ts'
import type { Parts } from './parts.ts'

/** Longest code echoed; real ones have nine characters. */
const shownMax = 40

/** The page is worth more than the details on it: a slow store costs it at most this. */
const lookupMs = 1000

export function createDevicePage(parts: Parts): Handler {
  const { options, provider, originOf, clock } = parts
  const findRequester = createFindRequester(parts)
  return async (exchange) => {
    const notice = loginNotice(options.login_notice, originOf(exchange))
    const policy = signInPolicy(await provider.formActionOrigins())
    const userCode = new URLSearchParams(exchange.query).get('user_code')?.slice(0, shownMax) ?? ''
    if (userCode === '') return replyPage(enterCodePage({ notice }), { policy })
    const page = confirmCodePage({
      userCode,
      requester: await findRequester(userCode, exchange.clientAddress),
      clientAddress: exchange.clientAddress,
      now: new Date(clock.now()),
      notice,
    })
    return replyPage(page, { policy })
  }
}

/**
 * Looks per address and ten minutes, and addresses counted. The page names who asked for a code,
 * so it also tells which codes exist: a guesser gets no more tries from it than from the form,
 * give or take the replicas. Over the limit the page stays and the details go.
 */
const looksMax = 20
const looksWindowMs = 600_000
const addressesMax = 10_000

function createFindRequester({
  grants,
  clock,
}: Parts): (userCode: string, clientAddress: string) => Promise<Requester | undefined> {
  const mayLook = createLookLimit(clock)
  return async (userCode, clientAddress) => {
    if (!mayLook(clientAddress)) return undefined
    try {
      const grant = await withDeadline(clock, 'store', lookupMs, () =>
        grants.findByUserCode(userCode),
      )
      return grant === null ? undefined : { address: grant.requestedFrom, at: grant.requestedAt }
    } catch {
      // Without the store the page shows the code alone; approving will say what is wrong.
      return undefined
    }
  }
}

function createLookLimit(clock: Clock): (clientAddress: string) => boolean {
  const looks = createCache<string, { count: number }>(addressesMax, clock)
  return (clientAddress) => {
    const window = looks.get(clientAddress)
    if (window === undefined) {
      looks.set(clientAddress, { count: 1 }, clock.now() + looksWindowMs)
      return true
    }
    // One object per window, so that counting does not move its end.
    window.count++
    return window.count <= looksMax
  }
}
