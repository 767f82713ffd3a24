/**
 * `fetch` over the guarded dispatcher, for libraries that ask for one (OpenID and JOSE clients).
 * Redirects are handed back, never followed; the whole exchange and its body are bounded, because
 * these answers are small documents read into memory.
 */
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeBody, readCoding } from '../stream/decode.ts'
import type { EgressRequest, EgressResponse } from './egress.ts'

/** From the first byte out to the last byte in: a sign-in may not wait longer for its provider. */
const exchangeMaxMs = 10_000

/** Far above any discovery document, key set or token answer (the largest are some 100 KiB). */
const bodyMaxBytes = 1024 * 1024

/** Statuses that never carry a body; `Response` refuses one for them. */
const bodilessStatuses: ReadonlySet<number> = new Set([204, 205, 304])

export function createFetch(
  request: (wanted: EgressRequest) => Promise<EgressResponse>,
  clock: Clock,
): typeof fetch {
  return async (input, init) => {
    const wanted = new Request(input, init)
    const body = wanted.body === null ? null : new Uint8Array(await wanted.arrayBuffer())
    const limit = new AbortController()
    const timer = clock.after(exchangeMaxMs, () =>
      limit.abort(new DeadlineExceeded(`fetching ${new URL(wanted.url).origin}`, exchangeMaxMs)),
    )
    try {
      const response = await request({
        method: wanted.method,
        url: new URL(wanted.url),
        headers: flatten(wanted.headers),
        body,
        signal: AbortSignal.any([wanted.signal, limit.signal]),
        headTimeoutMs: exchangeMaxMs,
        bodySilenceMs: exchangeMaxMs,
      })
      const headers = new Headers(headerPairs(response.headers))
      const coding = readCoding(headers.get('content-encoding') ?? '')
      // Some servers compress whatever they are asked for.
      const plain = coding === null ? response.body : decodeBody(response.body, coding)
      if (coding !== null) headers.delete('content-encoding')
      const bytes = await readBounded(plain)
      return new Response(bodilessStatuses.has(response.status) ? null : bytes, {
        status: response.status,
        statusText: response.statusText,
        headers,
      })
    } finally {
      timer.cancel()
    }
  }
}

function flatten(headers: Headers): string[] {
  const flat: string[] = []
  // These answers are small and are read whole: not worth a content coding.
  headers.set('accept-encoding', 'identity')
  if (!headers.has('accept')) headers.set('accept', '*/*')
  for (const [name, value] of headers) flat.push(name, value)
  return flat
}

/** Flat name, value… as the fetch API takes headers. */
export function headerPairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return list
}

/** All bytes of a small document, at most 1 MiB. Rejects with its failure, or when there are more. */
export async function readBounded(
  body: ReadableStream<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    // Leaving the loop cancels the body, which ends the request.
    if (bytes > bodyMaxBytes)
      throw new RangeError(`the answer is larger than ${bodyMaxBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}
