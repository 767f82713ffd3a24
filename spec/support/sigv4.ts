/**
 * A second implementation of AWS's Signature Version 4, written from its documentation: what AWS
 * does with a request that reaches it. Specs check with it what lib signed.
 */
import { createHash, createHmac } from 'node:crypto'

export interface SignedRequest {
  readonly method: string
  /** The request target as it came. */
  readonly url: string
  /** Flat name, value… as they came. */
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array | string
}

export interface Signature {
  readonly accessKeyId: string
  readonly date: string
  readonly region: string
  readonly service: string
  readonly signedHeaders: readonly string[]
  /** The signature is that of the request under this secret. */
  readonly matches: boolean
}

const pattern =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/

/** Reads and recomputes the signature of a request; throws when it has none. */
export function verifySignature(request: SignedRequest, secret: string): Signature {
  const headers = readHeaders(request.rawHeaders)
  const found = pattern.exec(headers.get('authorization') ?? '')
  if (found === null) throw new Error(`no signature: ${headers.get('authorization')}`)
  const [, accessKeyId = '', date = '', region = '', service = '', names = '', signature] = found
  const signedHeaders = names.split(';')
  const [path = '', query = ''] = request.url.split('?')
  const payloadHash = sha256(request.body)
  const canonical = [
    request.method,
    // Every service but S3 encodes the path it received once more.
    path.split('/').map(encode).join('/'),
    query.split('&').toSorted().join('&'),
    ...signedHeaders.map((name) => `${name}:${(headers.get(name) ?? '').trim()}`),
    '',
    names,
    payloadHash,
  ].join('\n')
  const scope = `${date}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', headers.get('x-amz-date'), scope, sha256(canonical)].join('\n')
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(
    (parent, part) => hmac(parent, part),
    `AWS4${secret}`,
  )
  const declared = headers.get('x-amz-content-sha256')
  const matches =
    hmac(key, text).toString('hex') === signature &&
    (declared === undefined || declared === payloadHash)
  return { accessKeyId, date, region, service, signedHeaders, matches }
}

function readHeaders(flat: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (let i = 0; i + 1 < flat.length; i += 2) {
    headers.set((flat[i] ?? '').toLowerCase(), flat[i + 1] ?? '')
  }
  return headers
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
