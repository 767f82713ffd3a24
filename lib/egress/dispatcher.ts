/**
 * `Egress` on undici: a guarded pool of connections for what leaves the gateway. One is made for
 * each way of leaving (`purpose.ts`); providers, identity and telemetry get theirs. It must never
 * follow a redirect, retry, or connect past the guard.
 */
import type { Dispatcher } from 'undici'
import { DeadlineExceeded, UpstreamBroke } from '../kernel/abort.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { BodyFeed, type Source } from './body-feed.ts'
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
      const handler = new ExchangeHandler(wanted, { resolve, reject, giveBack }, clock)
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

/** Who asked, and who lent the connection. */
interface Exchange {
  readonly resolve: (response: EgressResponse) => void
  readonly reject: (error: Error) => void
  /** Called once, when the connection is of no more use to the exchange. */
  readonly giveBack: (isUsable: boolean) => void
}

/** One request and its answer, as undici tells of them. */
class ExchangeHandler implements Dispatcher.DispatchHandler, Source {
  readonly #request: EgressRequest
  readonly #exchange: Exchange
  #headTimer: Timer | null
  #controller: Dispatcher.DispatchController | null = null
  #feed: BodyFeed | null = null
  /** Why this side gave up; undici then reports the same error back. */
  #stopped: Error | null = null

  constructor(request: EgressRequest, exchange: Exchange, clock: Clock) {
    const { headTimeoutMs, signal } = request
    this.#request = request
    this.#exchange = exchange
    this.#headTimer = clock.after(headTimeoutMs, () =>
      this.abort(new DeadlineExceeded('waiting for the response head', headTimeoutMs)),
    )
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#stopped !== null) controller.abort(this.#stopped)
  }

  onResponseStart(
    { rawHeaders }: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    // 1xx answers precede the real one.
    if (status < 200) return
    this.#settleHead()
    this.#feed = new BodyFeed(this)
    this.#exchange.resolve({
      status,
      statusText: statusText ?? '',
      headers: decodeHeaders(rawHeaders),
      body: this.#feed.stream,
    })
  }

  onResponseData(_controller: unknown, chunk: Uint8Array): void {
    this.#feed?.push(chunk)
  }

  onResponseEnd(): void {
    this.#exchange.giveBack(true)
    this.#leaveSignal()
    this.#feed?.end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#exchange.giveBack(false)
    if (this.#stopped !== null) return
    this.#settleHead()
    this.#leaveSignal()
    if (this.#feed === null) this.#exchange.reject(error)
    else this.#feed.fail(bodyError(error, this.#request.bodySilenceMs))
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  /** Gives up, before the head or after it. */
  abort(reason: Error): void {
    this.#stopped = reason
    this.#settleHead()
    if (this.#feed === null) this.#exchange.reject(reason)
    else this.#feed.stop(reason)
    this.#leaveSignal()
    // Without a controller the request still waits for its connection and stops when it starts.
    this.#controller?.abort(reason)
  }

  readonly #onAbort = (): void => this.abort(asError(this.#request.signal?.reason))

  #leaveSignal(): void {
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }

  #settleHead(): void {
    this.#headTimer?.cancel()
    this.#headTimer = null
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
