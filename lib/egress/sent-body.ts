/**
 * A request body that is lent to the system and taken back when that has all of it, so that its
 * memory can be freed by hand. `dispatcher.ts` gives it to undici in place of the bytes. It leans
 * on one habit of undici, which its spec watches: what a body yields is written, and the next is
 * asked for only when all of it has left the process, or the connection is closed.
 */
import type { Readable } from 'node:stream'
import { lendBytes, lentMinBytes } from '../stream/lent-bytes.ts'

/** The body for undici, and its length where undici cannot know it. */
export interface SentBody {
  readonly body: Uint8Array | string | Readable | null
  readonly contentLength: number | null
}

export function createSentBody(bytes: Uint8Array | string | null): SentBody {
  if (!(bytes instanceof Uint8Array) || bytes.length < lentMinBytes) {
    return { body: bytes, contentLength: null }
  }
  const takeBack = lendBytes(bytes)
  // undici takes any iterable, as its documentation says and its types do not.
  const body: unknown = new Once(bytes, takeBack)
  return { body: body as Readable, contentLength: bytes.length }
}

class Once implements Iterable<Uint8Array>, Iterator<Uint8Array> {
  #bytes: Uint8Array | null
  readonly #onSent: () => void

  constructor(bytes: Uint8Array, onSent: () => void) {
    this.#bytes = bytes
    this.#onSent = onSent
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<Uint8Array> {
    const value = this.#bytes
    if (value === null) {
      this.#onSent()
      return { done: true, value }
    }
    this.#bytes = null
    return { done: false, value }
  }
}
