/**
 * A `ReadableStream` fed by a parser that pushes: chunks of one tick leave joined, a slow reader
 * pauses the source, and every ending is told exactly once. `dispatcher.ts` is its only caller.
 * It must never resume or abort the source from within one of the source's own calls: parsers are
 * not re-entrant. Pausing there is allowed.
 */

/** What the feed may do to its source. `abort` frees the connection. */
export interface Source {
  pause(): void
  resume(): void
  abort(reason: Error): void
}

/**
 * Bytes waiting for the reader at which the source is paused: one socket read, so that a fast
 * reader never pauses it and a slow one costs each stream no more than about this.
 */
const waitingMaxBytes = 64 * 1024

export class BodyFeed {
  readonly stream: ReadableStream<Uint8Array>
  readonly #source: Source
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #paused = false
  /** The reader asked and nothing was there. */
  #wanted = false
  #scheduled = false
  /** The source has ended, well (null) or badly; the reader may not know yet. */
  #ended: { readonly error: Error | null } | null = null
  /** The stream is closed, failed or cancelled. */
  #over = false

  constructor(source: Source) {
    this.#source = source
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => {
          this.#wanted = true
          this.#deliver()
        },
        cancel: (reason) => this.#cancel(reason),
      },
      // Nothing is queued in the stream itself, so that chunks join here while the reader is busy.
      { highWaterMark: 0 },
    )
  }

  push(chunk: Uint8Array): void {
    if (this.#over || chunk.length === 0) return
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes >= waitingMaxBytes && !this.#paused) {
      this.#paused = true
      this.#source.pause()
    }
    if (this.#wanted) this.#schedule()
  }

  /** The source is complete; what it pushed is still delivered. */
  end(): void {
    this.#ended ??= { error: null }
    this.#schedule()
  }

  /** The source broke; what it pushed is still delivered, then the stream fails with `error`. */
  fail(error: Error): void {
    this.#ended ??= { error }
    this.#schedule()
  }

  /** Somebody stopped the exchange: the stream fails with `error` now. */
  stop(error: Error): void {
    if (this.#over) return
    this.#drop()
    this.#ended ??= { error }
    this.#finish(error)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    if (this.#over) return
    if (this.#wanted && this.#waitingBytes > 0) {
      this.#wanted = false
      this.#controller?.enqueue(this.#take())
      if (this.#paused) {
        this.#paused = false
        this.#source.resume()
      }
    }
    if (this.#ended !== null && this.#waitingBytes === 0) this.#finish(this.#ended.error)
  }

  #take(): Uint8Array {
    const [first] = this.#waiting
    const joined =
      first !== undefined && this.#waiting.length === 1
        ? first
        : Buffer.concat(this.#waiting, this.#waitingBytes)
    this.#drop()
    return joined
  }

  #drop(): void {
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #finish(error: Error | null): void {
    this.#over = true
    if (error === null) this.#controller?.close()
    else this.#controller?.error(error)
  }

  #cancel(reason: unknown): void {
    this.#over = true
    this.#drop()
    // A source that has ended keeps its connection for the next request.
    if (this.#ended !== null) return
    this.#source.abort(
      reason instanceof Error ? reason : new Error('the reader cancelled the body'),
    )
  }
}
