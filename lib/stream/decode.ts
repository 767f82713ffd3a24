/**
 * Undoes the content coding of an upstream's body (RFC 9110, section 8.4.1). The client always
 * gets plain bytes, and taps read plain bytes. A transform: it changes bytes, and bytes that can
 * not be decoded break the response. Whatever is complete comes out at once, so that a
 * compressed event stream stays one; a body that is cut never ends as if it were whole.
 */
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { createInflateRaw, createZstdDecompress } from 'node:zlib'
import type { Duplex } from 'node:stream'
import { UpstreamBroke } from '../kernel/abort.ts'

export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd'

/** The coding a `content-encoding` header names, or null when it is none that can be undone. */
export function readCoding(header: string): ContentCoding | null {
  const name = header.trim().toLowerCase()
  if (name === 'gzip' || name === 'deflate' || name === 'br' || name === 'zstd') return name
  return name === 'x-gzip' ? 'gzip' : null
}

/**
 * The plain bytes of `body`. Bytes that can't be decoded, or an end amid them, fail the stream
 * with `UpstreamBroke`; a failure of `body` itself is passed on, behind all bytes before it.
 * Reading is what drives it: nothing is read ahead of the reader but one chunk. Cancelling
 * cancels `body`.
 */
export function decodeBody(
  body: ReadableStream<Uint8Array>,
  coding: ContentCoding,
): ReadableStream<Uint8Array> {
  const decoding = new Decoding(body, coding)
  return new ReadableStream(
    {
      async pull(controller) {
        const chunk = await decoding.next()
        if (chunk === null) controller.close()
        else controller.enqueue(chunk)
      },
      cancel: (reason) => decoding.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

class Decoding {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #coding: ContentCoding
  /** Made with the first byte: an empty body is whole, and deflate comes in two forms. */
  #decoder: Duplex | null = null
  /** A chunk is being read or decoded, or there are no more. */
  #feeding = false
  /** Nothing more will come out. */
  #ended = false
  #failure: Error | null = null
  #wake: () => void = () => {}

  constructor(body: ReadableStream<Uint8Array>, coding: ContentCoding) {
    this.#reader = body.getReader()
    this.#coding = coding
  }

  /** The next plain bytes, or null at the end. Called again only after it settled. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk: unknown = this.#decoder?.read()
      if (chunk instanceof Uint8Array) return chunk
      if (this.#failure !== null) {
        this.#decoder?.destroy()
        throw this.#failure
      }
      if (this.#ended) return null
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      // Its failure is kept in #failure and thrown above.
      if (!this.#feeding) void this.#feed()
      await woken
    }
  }

  async cancel(reason: unknown): Promise<void> {
    // A pull that still waits is left alone: nobody reads what it would bring.
    this.#wake = () => {}
    this.#decoder?.destroy()
    await this.#reader.cancel(reason)
  }

  /** Moves one chunk of the body into the decoder, and waits until all of it is decoded. */
  async #feed(): Promise<void> {
    this.#feeding = true
    try {
      const { done, value } = await this.#reader.read()
      if (!done) {
        if (value.length > 0) await this.#write(value)
        this.#feeding = false
      } else if (this.#decoder === null) {
        this.#ended = true
      } else {
        this.#decoder.end()
      }
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new UpstreamBroke(String(error))
    }
    this.#wake()
  }

  #write(chunk: Uint8Array): Promise<void> {
    this.#decoder ??= this.#open(chunk)
    const decoder = this.#decoder
    // A decoder that failed may never call back, but then it closes.
    return new Promise((resolve) => {
      decoder.once('close', resolve)
      decoder.write(chunk, () => {
        decoder.off('close', resolve)
        resolve()
      })
    })
  }

  #open(firstChunk: Uint8Array): Duplex {
    const decoder = createDecoder(this.#coding, firstChunk)
    decoder.on('readable', () => this.#wake())
    decoder.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    decoder.on('error', (cause) => {
      this.#failure ??= new UpstreamBroke(`the body is no valid ${this.#coding}`, { cause })
      this.#wake()
      // The rest is of no use; freeing the connection may fail, and there is nobody to tell.
      this.#reader.cancel(this.#failure).catch(() => {})
    })
    return decoder
  }
}

/**
 * Largest window of a zstd body: what RFC 9659 allows an encoder for this coding. Without it the
 * upstream chooses how much memory one response takes, up to 128 MiB.
 */
const zstdWindowLogMax = 23

function createDecoder(coding: ContentCoding, firstChunk: Uint8Array): Duplex {
  switch (coding) {
    case 'gzip':
      return createGunzip()
    case 'deflate':
      // Meant is zlib's form (RFC 1950), whose first byte names method 8; some send it bare.
      return ((firstChunk[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress({
        params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
      })
  }
}
