/**
 * Signs requests to AWS with Signature Version 4, for the providers behind AWS and for STS. The
 * signature covers every header but those that proxies on the way may touch, so nothing may be
 * added to a request after it was signed but such headers.
 *
 * Own code, because it is on the path of every request: with the derived key kept and one-shot
 * hashes it takes a fifth of what @smithy/signature-v4 does, against which the spec checks it.
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { AwsKeys } from './aws-credentials.ts'

export interface AwsRequest {
  readonly url: URL
  /** The request target as it goes on the wire: a path, without a query. */
  readonly target: string
  /** Flat name, value, …; without `host`. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** The headers of a POST of `request` with the signature and what it needs among them; flat. */
export type SignAws = (request: AwsRequest, keys: AwsKeys, nowMs: number) => string[]

/** Not signed: what undici, proxies and decoding on the way may change. */
const unsigned: ReadonlySet<string> = new Set(['accept-encoding', 'user-agent'])

/** Signs for `service` in `region`. */
export function createAwsSigner(service: string, region: string): SignAws {
  // Deriving takes four hashes and holds for a day; keys that are gone take theirs along.
  const derived = new WeakMap<AwsKeys, { readonly day: string; readonly key: KeyObject }>()
  const keyFor = (keys: AwsKeys, day: string): KeyObject => {
    const known = derived.get(keys)
    if (known?.day === day) return known.key
    const parts = [day, region, service, 'aws4_request']
    const start: Buffer = Buffer.from(`AWS4${keys.secretAccessKey}`)
    const bytes = parts.reduce(
      (key, part) => createHmac('sha256', key).update(part).digest(),
      start,
    )
    const key = createSecretKey(bytes)
    derived.set(keys, { day, key })
    return key
  }

  return ({ url, target, headers, body }, keys, nowMs) => {
    const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
    const day = time.slice(0, 8)
    const bodyHash = hash('sha256', body)
    const sent = [...headers, 'x-amz-date', time, 'x-amz-content-sha256', bodyHash]
    if (keys.sessionToken !== undefined) sent.push('x-amz-security-token', keys.sessionToken)
    const { lines, names } = canonicalHeaders(sent, url.host)
    const canonical = `POST\n${canonicalPath(target)}\n\n${lines}\n${names}\n${bodyHash}`
    const scope = `${day}/${region}/${service}/aws4_request`
    // Header bytes are latin1 on the wire, and what AWS hashes are the bytes it received.
    const digest = hash('sha256', Buffer.from(canonical, 'latin1'))
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${digest}`
    const signature = createHmac('sha256', keyFor(keys, day)).update(text).digest('hex')
    sent.push(
      'authorization',
      `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    )
    return sent
  }
}

interface CanonicalHeaders {
  /** One `name:value` line each, in order of their names. */
  readonly lines: string
  readonly names: string
}

function canonicalHeaders(flat: readonly string[], host: string): CanonicalHeaders {
  const values = new Map<string, string>([['host', host]])
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = (flat[i] ?? '').toLowerCase()
    if (unsigned.has(name)) continue
    const value = (flat[i + 1] ?? '').trim().replaceAll(/\s+/g, ' ')
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  const names = [...values.keys()].toSorted((a, b) => (a < b ? -1 : 1))
  const lines = names.map((name) => `${name}:${values.get(name) ?? ''}\n`).join('')
  return { lines, names: names.join(';') }
}

/** AWS decodes the path it received once and encodes it twice: `%` in it is one more character. */
function canonicalPath(target: string): string {
  return target.split('/').map(encode).join('/')
}

/** Of RFC 3986 only the unreserved characters stay. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
