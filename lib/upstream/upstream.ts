/**
 * The contract of an upstream: one entry of `upstreams`, able to send one ask once.
 * `failover.ts` owns when to move on; a provider file owns how to ask. A provider never retries.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Egress } from '../egress/egress.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Cancellation } from '../kernel/cancellation.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { HeaderList } from '../http/exchange.ts'
import type { JsonBody } from '../stream/json-body.ts'

export type Operation = 'messages' | 'count_tokens'

/** What the client asked for, read and checked once, replayed to each upstream tried. */
export interface Ask {
  readonly operation: Operation
  /** Scanned once; edits are splices that leave every other byte as sent. */
  readonly body: JsonBody
  /** The model as the client spelled it. */
  readonly model: string
  /** Truthiness of the body's `stream` (spec 03 section 9). */
  readonly streams: boolean
  /** With its leading `?`, or empty. */
  readonly query: string
  /** The client's request headers as node:http joined them: lower-case names. */
  readonly headers: IncomingHttpHeaders
  readonly caller: Caller
  readonly requestId: string
  /** Aborts with `ClientGone`. */
  readonly signal: Cancellation
}

/** An upstream's answer with its body still to be read. Whoever holds it reads or cancels it. */
export interface Answer {
  readonly upstream: string
  readonly status: number
  /** What the client may see, hop-by-hop and provider-private headers already gone. */
  readonly headers: HeaderList
  readonly body: ReadableStream<Uint8Array> | Uint8Array | null
  /** `request-id` of the upstream's reply, for the audit only. */
  readonly upstreamRequestId: string | null
  /** `x-amzn-requestid`, for the audit only. */
  readonly upstreamCloudRequestId: string | null
  /** For the operator's log when this answer is a failure, e.g. `529 Overloaded`. */
  readonly reason: string
  /** The client gets this answer whatever its status: no other upstream may be asked. */
  readonly final?: boolean
}

export type AttemptResult =
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** No usable head: connect, DNS, TLS, reset, first-byte timeout, credentials. */
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'client-gone' }

export interface Upstream {
  /** Unique; key in `upstream_model`, logs and audit. */
  readonly name: string
  readonly provider: string
  /** Sends the ask once, for `model` in this provider's spelling. Never throws, never rejects. */
  send(ask: Ask, model: string): Promise<AttemptResult>
  close(): Promise<void>
}

/** What every provider file is given. */
export interface ProviderDeps {
  readonly egress: Egress
  readonly clock: Clock
  readonly log: Log
  /** Until a response head, milliseconds. */
  readonly upstream_ttfb_ms: number
  /** The same for a cloud's answer that is not streamed: its first byte is its last. */
  readonly whole_ttfb_ms: number
  /** Address of STS instead of AWS's own for the region. */
  readonly stsUrl?: string | undefined
}
