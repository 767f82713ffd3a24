/**
 * The contract of everything that leaves the gateway for an operator-configured address.
 * `dispatcher.ts` implements it on undici with the guard, pinning, proxies and private CAs;
 * `purpose.ts` makes one for each way of leaving.
 */
import type { Cancellation } from '../kernel/cancellation.ts'

export interface EgressRequest {
  readonly method: string
  /** `http:` or `https:`; anything else is refused. */
  readonly url: URL
  /**
   * The request target when it must reach the wire byte for byte; without it the url's own path
   * and query, which parsing may have re-escaped.
   */
  readonly target?: string
  /** Flat name, value, name, value… as they go on the wire; no framing headers, no `host`. */
  readonly headers: readonly string[]
  readonly body?: Uint8Array | string | null
  /** Ends the exchange at once, before the head or after it, with the signal's reason. */
  readonly signal?: Cancellation
  /** Until the response head is complete, connecting included. Fails with `DeadlineExceeded`. */
  readonly headTimeoutMs: number
  /**
   * Longest silence between two chunks of the body; a reader's own pauses do not count. The body
   * fails with `DeadlineExceeded`.
   */
  readonly bodySilenceMs: number
}

export interface EgressResponse {
  readonly status: number
  readonly statusText: string
  /** Flat name, value… in wire order, names as received. */
  readonly headers: readonly string[]
  /**
   * As received: content codings are the caller's business. Fed at most once a tick. Whoever
   * holds it reads it to its end or cancels it; until then its connection is taken. When the peer
   * cuts it, what came is delivered and then it fails with `UpstreamBroke`.
   */
  readonly body: ReadableStream<Uint8Array>
}

/** Network failures reject with an Error whose `code` is the system's or undici's. */
export interface Egress {
  request(request: EgressRequest): Promise<EgressResponse>
  /** For libraries that take a `fetch`: same guard, redirects never followed, bodies bounded. */
  readonly fetch: typeof fetch
  close(): Promise<void>
}
