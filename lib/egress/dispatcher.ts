/**
 * `Egress` on undici: a guarded pool of connections for what leaves the gateway. One is made for
 * each way of leaving (`purpose.ts`); providers, identity and telemetry get theirs. It must never
 * follow a redirect, retry, or connect past the guard.
 */
import type { Dispatcher } from 'undici'
import { DeadlineExceeded, UpstreamBroke } from '../kernel/abort.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { BodyFeed } from './body-feed.ts'
import { type Connections, createConnections } from './connections.ts'
import { describeFailure, failureCode } from './describe-failure.ts'
import type { Egress, EgressRequest, EgressResponse } from './egress.ts'
import { createFetch } from './fetch.ts'
import { createGuardedConnector, type GuardOptions } from './guard.ts'
import { createProxyConnector } from './proxy-connector.ts'
import type { Proxies, ProxyChoice } from './proxy-environment.ts'
import { createSentBody } from './sent-body.ts'

export interface EgressOptions extends GuardOptions {
  readonly clock: Clock
  /** Forward proxies; without them every origin is reached directly. */
  readonly proxies?: Proxies | null
  /** Who resolves names of origins behind a proxy; here, unless said otherwise. */
  readonly resolvedBy?: 'here' | 'proxy'
  /** Any proxy serves both schemes, unless said otherwise. */
  readonly choice?: ProxyChoice
}

export function createEgress(options: EgressOptions): Egress {
  const { clock } = options
  const connections = open(options)
  const request = (wanted: EgressRequest): Promise<EgressResponse> => {
    const { url, signal } = wanted
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      return Promise.reject(new TypeError(`cannot connect to a ${url.protocol} address`))
    }
    if (signal?.aborted) return Promise.reject(asError(signal.reason))
    return new Promise((resolve, reject) => {
      const connection = connections.take(url.origin)
      const giveBack = (isUsable: boolean): void => connections.giveBack(connection, isUsable)
      const handler = createHandler(wanted, clock, { resolve, reject, giveBack })
      const { body, contentLength } = createSentBody(wanted.body ?? null)
      const headers = wanted.headers.slice()
      if (contentLength !== null) headers.push('content-length', String(contentLength))
      connection.client.dispatch(
        {
          path: wanted.target ?? url.pathname + url.search,
          method: wanted.method,
          headers,
          body,
          // The head's deadline is ours: undici's begins only once the socket is connected.
          headersTimeout: 0,
          bodyTimeout: wanted.bodySilenceMs,
        },
        handler,
      )
    })
  }
  return {
    request,
    fetch: createFetch(request, clock),
    close: () => connections.destroy(),
  }
}

/** A name is resolved anew at least this often even when its connections are never idle. */
const lifeMaxMs = 300_000

/**
 * A connection per request under way and no more of a limit than the admission bound in front: a
 * cap here would be a second queue that nobody sees.
 */
function open(options: EgressOptions): Connections {
  const { proxies, resolvedBy = 'here', choice = 'any' } = options
  return createConnections(options.clock, lifeMaxMs, {
    // How an origin is reached is decided here and nowhere else.
    connect: proxies
      ? createProxyConnector({ ...options, proxies, resolvedBy, choice })
      : createGuardedConnector(options),
    allowH2: false,
    pipelining: 1,
    // What a server does not announce: below the 60 to 75 s after which common servers and load
    // balancers close an idle connection, so that a request seldom meets one that is closing.
    keepAliveTimeout: 30_000,
    // What it announces counts up to this; stateful firewalls forget idle flows after some minutes.
    keepAliveMaxTimeout: 120_000,
    // Room for a provider's cookies and rate-limit headers many times over; undici's default is
    // Node's 16 KiB, which a command-line flag can lower.
    maxHeaderSize: 64 * 1024,
  })
}

interface Exchange {
  readonly resolve: (response: EgressResponse) => void
  readonly reject: (error: Error) => void
  /** Called once, when the connection is of no more use to the exchange. */
  readonly giveBack: (isUsable: boolean) => void
}

function createHandler(
  { signal, headTimeoutMs, bodySilenceMs }: EgressRequest,
  clock: Clock,
  { resolve, reject, giveBack }: Exchange,
): Dispatcher.DispatchHandler {
  let exchange: Dispatcher.DispatchController | null = null
  let feed: BodyFeed | null = null
  /** Why this side gave up; undici then reports the same error back. */
  let stopped: Error | null = null

  const stop = (reason: Error): void => {
    stopped = reason
    settleHead()
    if (feed === null) reject(reason)
    else feed.stop(reason)
    signal?.removeEventListener('abort', onAbort)
    // Without a controller the request still waits for its connection and stops when it starts.
    exchange?.abort(reason)
  }
  const onAbort = (): void => stop(asError(signal?.reason))
  let headTimer: Timer | null = clock.after(headTimeoutMs, () =>
    stop(new DeadlineExceeded('waiting for the response head', headTimeoutMs)),
  )
  const settleHead = (): void => {
    headTimer?.cancel()
    headTimer = null
  }
  signal?.addEventListener('abort', onAbort, { once: true })

  return {
    onRequestStart(controller) {
      exchange = controller
      if (stopped !== null) controller.abort(stopped)
    },
    onResponseStart(controller, status, _headers, statusText) {
      // 1xx answers precede the real one.
      if (status < 200) return
      settleHead()
      feed = new BodyFeed({
        pause: () => controller.pause(),
        resume: () => controller.resume(),
        abort: stop,
      })
      const headers = decodeHeaders(controller.rawHeaders)
      resolve({ status, statusText: statusText ?? '', headers, body: feed.stream })
    },
    onResponseData: (_controller, chunk) => feed?.push(chunk),
    onResponseEnd() {
      giveBack(true)
      signal?.removeEventListener('abort', onAbort)
      feed?.end()
    },
    onResponseError(_controller, error) {
      giveBack(false)
      if (stopped !== null) return
      settleHead()
      signal?.removeEventListener('abort', onAbort)
      if (feed === null) reject(error)
      else feed.fail(bodyError(error, bodySilenceMs))
    },
  }
}

/** What the reader of a body is told: silence is a deadline of ours, all else is the peer's doing. */
function bodyError(error: Error, silenceMs: number): Error {
  if (failureCode(error) === 'UND_ERR_BODY_TIMEOUT') {
    return new DeadlineExceeded('waiting for more of the body', silenceMs)
  }
  return new UpstreamBroke(describeFailure(error), { cause: error })
}

/** Header bytes are latin1 on the wire, in Node's server as in undici's requests. */
function decodeHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const headers: string[] = []
  if (!Array.isArray(raw)) return headers
  for (const part of raw) headers.push(typeof part === 'string' ? part : part.toString('latin1'))
  return headers
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason })
}
