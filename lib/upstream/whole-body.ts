/**
 * Reads a provider's body into memory, bounded in size and time. For what must be known whole
 * before a client gets any of it: answers that are not streamed, and refusals.
 */
import { DeadlineExceeded, UpstreamBroke } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'

export interface WholeBodyLimits {
  readonly maxBytes: number
  readonly maxMs: number
  /** Names the wait in its failure. */
  readonly what: string
}

/**
 * All bytes of `body`. Rejects with its failure, with `DeadlineExceeded`, or with `UpstreamBroke`
 * when there are more; `body` is over in any case.
 */
export async function readWhole(
  body: ReadableStream<Uint8Array>,
  clock: Clock,
  limits: WholeBodyLimits,
): Promise<Uint8Array> {
  const { bytes, ended } = await read(body, clock, limits)
  if (!ended) throw new UpstreamBroke(`${limits.what} is larger than ${limits.maxBytes} bytes`)
  return bytes
}

/** The beginning of `body`, up to the limit of bytes; what else comes is dropped. */
export async function readBeginning(
  body: ReadableStream<Uint8Array>,
  clock: Clock,
  limits: WholeBodyLimits,
): Promise<Uint8Array> {
  const { bytes } = await read(body, clock, limits)
  return bytes.subarray(0, limits.maxBytes)
}

async function read(
  body: ReadableStream<Uint8Array>,
  clock: Clock,
  { maxBytes, maxMs, what }: WholeBodyLimits,
): Promise<{ readonly bytes: Uint8Array; readonly ended: boolean }> {
  const reader = body.getReader()
  const deadline = new AbortController()
  const timer = clock.after(maxMs, () => {
    deadline.abort(new DeadlineExceeded(what, maxMs))
    // The read under way ends as if the body had; a body that broke meanwhile says so there.
    reader.cancel(deadline.signal.reason).catch(() => {})
  })
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      deadline.signal.throwIfAborted()
      if (done) return { bytes: join(parts, size), ended: true }
      parts.push(value)
      size += value.length
      if (size > maxBytes) {
        // Its connection is given back; a failure to do so is the connection's own end.
        reader.cancel().catch(() => {})
        return { bytes: join(parts, size), ended: false }
      }
    }
  } finally {
    timer.cancel()
  }
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, size)
}
