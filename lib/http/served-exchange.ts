/**
 * The exchange that `serve.ts` makes of a node:http request. This is the hot path: what a handler
 * may never ask for (the abort signal, repeated header lines, the body) is made when it is asked.
 * `lose` is the one way to learn that nobody waits for the reply any more.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { randomUUID } from 'node:crypto'
import { type Cancellation, Canceller } from '../kernel/cancellation.ts'
import { readBody, type BodyLimits } from './body.ts'
import type { Exchange } from './exchange.ts'
import type { Target } from './target.ts'

export interface ServedExchangeParts {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly target: Target
  readonly client: ClientAddress
  /** Octets of the header section, four more per field for `: ` and the line end. */
  readonly headBytes: number
  readonly startedAt: number
  readonly body: BodyLimits
  readonly expectsContinue: boolean
}

/** Who sent the request, after `trusted_proxies`. */
export interface ClientAddress {
  readonly address: string
  /** The hop of `X-Forwarded-For` that is no address, when one of those looked at is not. */
  readonly unreadableHop: string | null
}

export class ServedExchange implements Exchange {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: IncomingHttpHeaders
  readonly clientAddress: string
  readonly unreadableHop: string | null
  readonly headBytes: number
  readonly startedAt: number
  requestId: string = randomUUID()
  /** Why nobody waits for the reply any more; null while somebody does. */
  gone: Error | null = null
  /** Bytes of the reply may be out. */
  answering = false
  /** Waits for `100 Continue` before it sends the body. */
  awaitsContinue: boolean
  /** In the roster of open exchanges. */
  place = -1
  /** Called once by `lose`; belongs to whoever waits at the moment. */
  onGone: ((reason: Error) => void) | null = null
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #body: BodyLimits
  #canceller: Canceller | null = null
  #bytes: Promise<Uint8Array> | null = null

  constructor(parts: ServedExchangeParts) {
    this.#req = parts.req
    this.#res = parts.res
    this.#body = parts.body
    this.awaitsContinue = parts.expectsContinue
    this.method = parts.req.method ?? ''
    this.path = parts.target.path
    this.query = parts.target.query
    this.headers = parts.req.headers
    this.clientAddress = parts.client.address
    this.unreadableHop = parts.client.unreadableHop
    this.headBytes = parts.headBytes
    this.startedAt = parts.startedAt
  }

  get signal(): Cancellation {
    if (this.#canceller === null) {
      this.#canceller = new Canceller()
      if (this.gone !== null) this.#canceller.abort(this.gone)
    }
    return this.#canceller
  }

  headerLines(name: string): readonly string[] {
    const lines: string[] = []
    const raw = this.#req.rawHeaders
    for (let at = 0; at < raw.length; at += 2) {
      if (raw[at]?.toLowerCase() === name) lines.push(raw[at + 1] ?? '')
    }
    return lines
  }

  readBody(bytesMax: number = this.#body.bytesMax): Promise<Uint8Array> {
    if (this.awaitsContinue) {
      this.awaitsContinue = false
      this.#res.writeContinue()
    }
    this.#bytes ??= readBody(this.#req, { ...this.#body, bytesMax })
    return this.#bytes
  }

  /** The client left, or its connection was cut: aborts the signal and wakes who is waiting. */
  lose(reason: Error): void {
    if (this.gone !== null) return
    this.gone = reason
    try {
      this.#canceller?.abort(reason)
    } finally {
      this.onGone?.(reason)
    }
  }
}
