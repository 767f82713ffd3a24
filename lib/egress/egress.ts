/**
 * The contract of everything that leaves the gateway for an operator-configured address.
 * `dispatcher.ts` implements it on undici with the guard, pinning, proxies and private CAs.
 */
export interface EgressRequest {
  readonly method: string
  readonly url: URL
  /** Flat name, value, name, value… as they go on the wire. */
  readonly headers: readonly string[]
  readonly body?: Uint8Array | string | null
  readonly signal?: AbortSignal
  /** Until the response head is complete. Fails with `DeadlineExceeded`. */
  readonly headTimeoutMs: number
  /** Longest silence between two chunks of the body. The body fails with `DeadlineExceeded`. */
  readonly bodySilenceMs: number
}

export interface EgressResponse {
  readonly status: number
  readonly statusText: string
  /** Flat name, value… in wire order, names as received. */
  readonly headers: readonly string[]
  /** Decoded as received: content codings are the caller's business. Fed at most once a tick. */
  readonly body: ReadableStream<Uint8Array>
}

/** Network failures reject with an Error whose `code` is the system's or undici's. */
export interface Egress {
  request(request: EgressRequest): Promise<EgressResponse>
  /** For libraries that take a `fetch`: same guard, redirects never followed, bodies bounded. */
  readonly fetch: typeof fetch
  close(): Promise<void>
}
