/**
 * `/oauth/callback`: the browser comes back from the identity provider. Whatever it brings, the
 * answer is a page; what it decides is whether the device that waits gets its token.
 */
import type { Exchange, Handler, HeaderList, Reply } from '../http/exchange.ts'
import type { Page } from '../page/document.ts'
import { replyPage, signInPolicy } from '../page/document.ts'
import { endingPage, providerErrorPage, signedInPage, type Ending } from '../page/result-pages.ts'
import type { PendingGrant } from './grant.ts'
import { quote, type Failure } from './outcome.ts'
import type { Parts } from './parts.ts'
import { isSameBrowser, type SignInState } from './state.ts'

/** The answer's parameters (RFC 6749 section 4.1.2, RFC 9207); an absent or repeated one is undefined. */
interface CallbackQuery {
  readonly state: string | undefined
  readonly code: string | undefined
  readonly iss: string | undefined
  readonly error: string | undefined
  readonly errorDescription: string | undefined
}

type Result = 'state_invalid' | 'code_missing' | 'browser_mismatch' | 'provider_error'

export function createCallback(parts: Parts): Handler {
  const { states, cookie, grants, budget } = parts
  const record = (exchange: Exchange, result: Result, error?: string): void =>
    parts.audit('device.callback', {
      request_id: exchange.requestId,
      result,
      client_ip: exchange.clientAddress,
      error,
    })

  return async (exchange) => {
    const query = readQuery(exchange.query)
    const state = query.state === undefined ? null : await states.open(query.state)
    if (query.error !== undefined) {
      return answerProviderError(parts, exchange, query, state, record)
    }
    if (state === null || query.code === undefined) {
      record(exchange, state === null ? 'state_invalid' : 'code_missing')
      return ending(exchange, 'link-expired')
    }
    if (!isSameBrowser(state, cookie.read(exchange))) {
      record(exchange, 'browser_mismatch')
      return ending(exchange, 'other-browser', { first: [cookie.clear()] })
    }
    const found = await budget.attempt(async () => {
      const grant = await grants.find(state.grantKey)
      // A code is good for one try: a second tab or a reload must not spoil the first.
      return grant !== null && (await grants.claimState(state.nonce)) ? grant : null
    })
    if (found === null) return outage(exchange)
    if (found.value === null) return ending(exchange, 'already-used')
    return finish(parts, exchange, found.value, state, { code: query.code, iss: query.iss })
  }
}

/** Asks the provider who it is, and moves the grant accordingly. */
async function finish(
  parts: Parts,
  exchange: Exchange,
  grant: PendingGrant,
  state: SignInState,
  answer: { readonly code: string; readonly iss: string | undefined },
): Promise<Reply> {
  const { provider, grants, budget, cookie, options, audit } = parts
  const signedIn = await provider.signIn({ ...state, ...answer }, exchange.requestId)
  if (!signedIn.ok) return refuse(parts, exchange, grant, signedIn.failure)
  const approved = await budget.attempt(() => grants.approve(grant, signedIn.value))
  if (approved === null) return outage(exchange)
  if (!approved.value) return ending(exchange, 'already-used')
  const { sub, email } = signedIn.value.person
  audit('session.mint', {
    request_id: exchange.requestId,
    result: 'success',
    sub,
    email,
    client_ip: exchange.clientAddress,
    ttl_hours: options.session.ttl_hours,
  })
  return page(signedInPage(email), { first: [cookie.clear()] })
}

async function refuse(
  { grants, budget, log, audit }: Parts,
  exchange: Exchange,
  grant: PendingGrant,
  { reason }: Failure,
): Promise<Reply> {
  log.warn(`token exchange failed request_id=${exchange.requestId}: ${reason}`)
  audit('session.mint', {
    request_id: exchange.requestId,
    result: 'fail',
    client_ip: exchange.clientAddress,
    err: reason,
  })
  // When the store is out as well the device polls on until its code expires; nothing is granted.
  await budget.attempt(() => grants.deny(grant))
  return ending(exchange, 'not-completed')
}

/**
 * The provider sent an error instead of a code. From the browser that approved, it ends the
 * grant, so that the device stops waiting; from anybody else it is only a page.
 */
async function answerProviderError(
  { grants, budget, cookie }: Parts,
  exchange: Exchange,
  { error = '', errorDescription }: CallbackQuery,
  state: SignInState | null,
  record: (exchange: Exchange, result: Result, error?: string) => void,
): Promise<Reply> {
  const bound = state !== null && isSameBrowser(state, cookie.read(exchange))
  const code = quote(error, 100)
  if (bound) {
    record(exchange, 'provider_error', code)
    const ended = await budget.attempt(async () => {
      const grant = await grants.find(state.grantKey)
      return grant !== null && (await grants.deny(grant))
    })
    if (ended === null) return outage(exchange)
  } else {
    record(exchange, state === null ? 'state_invalid' : 'browser_mismatch', code)
  }
  const text =
    errorDescription === undefined
      ? `Identity provider returned: ${code}`
      : `${code}: ${quote(errorDescription)}`
  return page(providerErrorPage(text, exchange.requestId))
}

function readQuery(query: string): CallbackQuery {
  const parameters = new URLSearchParams(query)
  const single = (name: string): string | undefined => {
    const [value, ...more] = parameters.getAll(name)
    return more.length === 0 && value !== '' ? value : undefined
  }
  return {
    state: single('state'),
    code: single('code'),
    iss: single('iss'),
    error: single('error'),
    errorDescription: single('error_description'),
  }
}

interface Extra {
  readonly first?: HeaderList
  readonly last?: HeaderList
  readonly status?: number
}

function page(content: Page, extra: Extra = {}): Reply {
  return replyPage(content, { policy: signInPolicy([]), ...extra })
}

function ending(exchange: Exchange, kind: Ending, extra: Extra = {}): Reply {
  return page(endingPage(kind, exchange.requestId), extra)
}

/** The state stays good: reloading the page tries again. */
function outage(exchange: Exchange): Reply {
  return ending(exchange, 'temporarily-unavailable', {
    status: 503,
    last: [['Retry-After', '5']],
  })
}
