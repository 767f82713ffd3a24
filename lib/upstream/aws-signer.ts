/**
 * Signs requests to AWS with Signature Version 4, for the providers behind AWS and for STS. The
 * signature covers every header but those that proxies on the way may touch, so nothing may be
 * added to a request after it was signed but such headers.
 */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import type { AwsKeys } from './aws-credentials.ts'

export interface AwsRequest {
  readonly url: URL
  /** The request target as it goes on the wire. */
  readonly target: string
  /** Flat name, value, …; without `host`. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** The headers of `request` with the signature and what it needs among them; flat. */
export type SignAws = (request: AwsRequest, keys: AwsKeys, nowMs: number) => Promise<string[]>

/** Not signed: what undici, proxies and decoding on the way may change. */
const unsigned: ReadonlySet<string> = new Set(['accept-encoding', 'user-agent'])

/** Signs for `service` in `region`. The library is loaded with the first request. */
export function createAwsSigner(service: string, region: string): SignAws {
  return async ({ url, target, headers, body }, keys, nowMs) => {
    const { SignatureV4 } = await import('@smithy/signature-v4')
    const signer = new SignatureV4({ service, region, credentials: keys, sha256: Sha256 })
    const signed: Record<string, string> = { host: url.host }
    const rest: string[] = []
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = (headers[i] ?? '').toLowerCase()
      const value = headers[i + 1] ?? ''
      if (unsigned.has(name)) rest.push(name, value)
      else signed[name] = name in signed ? `${signed[name]}, ${value}` : value
    }
    const [path = '', query = ''] = target.split('?')
    const request = await signer.sign(
      {
        method: 'POST',
        protocol: url.protocol,
        hostname: url.hostname,
        path,
        query: Object.fromEntries(new URLSearchParams(query)),
        headers: signed,
        body,
      },
      { signingDate: new Date(nowMs) },
    )
    // The connection's own host header says the same.
    const { host: _, ...sent } = request.headers
    return [...Object.entries(sent).flat(), ...rest]
  }
}

/** The library's interface on Node's hashes. */
class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', asBytes(secret))
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(asBytes(data))
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }

  /** The interface asks for it; nobody calls it, because each request makes its own. */
  reset(): void {
    throw new TypeError('a hash of a request is used once')
  }
}

function asBytes(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
