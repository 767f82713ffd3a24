/**
 * One HTTP request and the reply to it, as every handler sees them. `http/serve.ts` makes an
 * exchange from node:http and writes the reply back; handlers never touch a socket.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Caller } from '../kernel/caller.ts'
import type { Cancellation } from '../kernel/cancellation.ts'
import type { Tap } from '../stream/tap.ts'

export interface Exchange {
  readonly method: string
  /** URL-parsed path: dot segments resolved, percent escapes as sent. Case-sensitive. */
  readonly path: string
  /** With its leading `?`, as sent; empty when there is none. */
  readonly query: string
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders
  /** Repeated lines of one header, in order. */
  headerLines(name: string): readonly string[]
  /** UUIDv4; on inference the client's own `x-client-request-id` when it is well formed. */
  requestId: string
  /** After `trusted_proxies` (spec 07 section 8). */
  readonly clientAddress: string
  /** Aborts with `ClientGone` when the client's connection closes before the reply is out. */
  readonly signal: Cancellation
  /** `clock.elapsed()` when the head was parsed, milliseconds. */
  readonly startedAt: number
  /**
   * The whole body, read once; at most `bytesMax`, without it `limits.max_request_bytes`. Routes
   * open to anybody name a small one. Throws `http/*` errors, or `ClientGone`.
   */
  readBody(bytesMax?: number): Promise<Uint8Array>
}

export type HeaderList = readonly (readonly [name: string, value: string])[]

export interface Reply {
  readonly status: number
  /** In wire order; the edge appends its fixed headers, framing and date. */
  readonly headers: HeaderList
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | null
  /** Run in the one loop that writes the body; each settles exactly once. */
  readonly taps?: readonly Tap[]
  /**
   * Last bytes of a streamed body that broke after its head was out (an SSE error event), asked
   * for once with what broke it. Absent or null: the connection is destroyed, so that the client
   * can tell a cut body from a whole one.
   */
  readonly breakOff?: (reason: unknown) => string | null
}

export type Handler = (exchange: Exchange) => Reply | Promise<Reply>
export type CallerHandler = (exchange: Exchange, caller: Caller) => Reply | Promise<Reply>
