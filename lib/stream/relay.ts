/**
 * Makes the stream a client reads out of what a cloud provider streams: one shell around the
 * decoders of its two framings, `relay-sse.ts` and `event-stream.ts`. A transform: what its
 * decoder refuses breaks the response. While the provider is silent it pings, so that clients and
 * the proxies between keep waiting; the API itself pings, so its bytes need none of this.
 */
import { UpstreamBroke } from '../kernel/abort.ts'
import type { Clock, Timer } from '../kernel/clock.ts'

/** Turns the bytes of one response into server-sent events. No IO; used for one stream. */
export interface EventDecoder {
  /** Events that became whole with this chunk, as text to send; empty when none did. */
  push(chunk: Uint8Array): string
  /** The body ended by itself, which may be a failure. */
  end(): void
  /** Set once the stream broke, behind all events returned so far; nothing is pushed after it. */
  failure(): UpstreamBroke | null
}

/** Silence after which a ping is sent. Clients and load balancers give up after 30 s and more. */
export const pingAfterMs: number = 15_000

/** The space is the wire's: clients have seen it so for years. */
export const pingEvent = 'event: ping\ndata: {"type": "ping"}\n\n'

/**
 * What `decoder` makes of `body`, and pings while nothing comes, also before the first event.
 * A failure of `body` or of the decoder fails the stream behind all events before it. Reading
 * drives it: nothing is read ahead, a slow reader gets no pings. Cancelling cancels `body`.
 */
export function relayEvents(
  body: ReadableStream<Uint8Array>,
  decoder: EventDecoder,
  clock: Clock,
): ReadableStream<Uint8Array> {
  const relay = new Relay(body, decoder, clock)
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => relay.start(controller),
      pull: () => relay.pull(),
      cancel: (reason) => relay.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

class Relay {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #decoder: EventDecoder
  readonly #clock: Clock
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null
  /** The reader asked and has nothing yet. */
  #wanted = false
  /** A read of the body is under way; it outlives the pings sent meanwhile. */
  #reading = false
  #over = false
  /** `clock.elapsed()` of the last bytes sent. */
  #sentAt: number
  #timer: Timer

  constructor(body: ReadableStream<Uint8Array>, decoder: EventDecoder, clock: Clock) {
    this.#reader = body.getReader()
    this.#decoder = decoder
    this.#clock = clock
    this.#sentAt = clock.elapsed()
    this.#timer = clock.after(pingAfterMs, this.#onTimer)
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller
  }

  pull(): void {
    this.#wanted = true
    const failure = this.#decoder.failure()
    if (failure !== null) this.#fail(failure)
    // Its failure ends the stream inside.
    else if (!this.#reading) void this.#read()
  }

  async cancel(reason: unknown): Promise<void> {
    this.#finish()
    await this.#reader.cancel(reason)
  }

  async #read(): Promise<void> {
    this.#reading = true
    try {
      while (this.#wanted && !this.#over) {
        const { done, value } = await this.#reader.read()
        if (this.#over) return
        if (done) this.#decoder.end()
        const events = done ? '' : this.#decoder.push(value)
        const failure = this.#decoder.failure()
        if (events !== '') this.#send(events)
        else if (failure !== null) this.#fail(failure)
        else if (done) this.#close()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#reading = false
    }
  }

  #send(events: string): void {
    this.#wanted = false
    this.#sentAt = this.#clock.elapsed()
    this.#controller?.enqueue(Buffer.from(events))
    // What broke behind these events is told when they are read: an error discards what waits.
    const failure = this.#decoder.failure()
    if (failure !== null) this.#freeBody(failure)
  }

  #close(): void {
    this.#finish()
    this.#controller?.close()
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#finish()
    this.#controller?.error(error)
    this.#freeBody(error)
  }

  /** A body that is of no more use gives its connection back; one that broke has none. */
  #freeBody(reason: unknown): void {
    this.#reader.cancel(reason).catch(() => {})
  }

  #finish(): void {
    this.#over = true
    this.#timer.cancel()
  }

  // One timer looks whether there was silence, so that a chunk costs none.
  readonly #onTimer = (): void => {
    const silentMs = this.#clock.elapsed() - this.#sentAt
    if (silentMs >= pingAfterMs && this.#wanted) this.#send(pingEvent)
    const nextMs = pingAfterMs - Math.min(silentMs, pingAfterMs)
    this.#timer = this.#clock.after(nextMs === 0 ? pingAfterMs : nextMs, this.#onTimer)
  }
}

/** The events of the Messages API that clients get from a cloud provider; no other passes. */
export const messageEvents: ReadonlySet<string> = new Set([
  'message_start',
  'message_delta',
  'message_stop',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
])
