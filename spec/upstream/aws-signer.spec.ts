import assert from 'node:assert/strict'
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { test } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import aws4 from 'aws4'
import type { AwsKeys } from '../../lib/upstream/aws-credentials.ts'
import { createAwsSigner } from '../../lib/upstream/aws-signer.ts'
import { createRandom } from '../support/random.ts'
import { verifySignature, type Signature } from '../support/sigv4.ts'

const keys = { accessKeyId: 'AKID', secretAccessKey: 'the-secret' }
const at = Date.parse('2026-11-22T10:41:00Z')
const url = new URL('https://bedrock.example')

interface Options {
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: string
  readonly sessionToken?: string
  readonly to?: URL
}

/** The headers as sent, and what AWS finds in them. */
function sign(options: Options = {}): { sent: string[]; found: Signature } {
  const {
    target = '/model/m/invoke',
    headers = ['accept', 'a/b'],
    sessionToken,
    to = url,
  } = options
  const body = Buffer.from(options.body ?? '{"a":1}')
  const all = sessionToken === undefined ? keys : { ...keys, sessionToken }
  const signer = createAwsSigner('bedrock', 'us-east-1')
  const sent = signer({ url: to, target, headers, body }, all, at)
  const rawHeaders = [...sent, 'host', to.host]
  const request = { method: 'POST', url: target, rawHeaders, body }
  return { sent, found: verifySignature(request, keys.secretAccessKey) }
}

test('signer: AWS comes to the same signature, for this service, region and time', () => {
  const { sent, found } = sign()
  assert.deepEqual(found, {
    accessKeyId: 'AKID',
    date: '20261122',
    region: 'us-east-1',
    service: 'bedrock',
    signedHeaders: ['accept', 'host', 'x-amz-content-sha256', 'x-amz-date'],
    matches: true,
  })
  assert.equal(sent[sent.indexOf('x-amz-date') + 1], '20261122T104100Z')
})

test('signer: the path is encoded once more, however it is spelled (F384)', () => {
  for (const model of [
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    'anthropic.claude-sonnet-4-5-20250929-v1%3A0',
    'arn:aws:bedrock:us-east-1:111111111111:application-inference-profile%2Fabc123',
    "odd!'()*~_-. name".replace(' ', '%20'),
  ]) {
    const { found } = sign({ target: `/model/${model}/invoke` })
    assert.equal(found.matches, true, model)
  }
})

test('signer: a port, a prefix and a large body of any bytes are covered', () => {
  const { found } = sign({
    to: new URL('http://127.0.0.1:9521'),
    target: '/vpce/model/m/invoke',
    body: `{"text":"${'ü😀'.repeat(10_000)}"}`,
  })
  assert.equal(found.matches, true)
})

test('signer: what may change on the way is sent but not signed, all else is signed', () => {
  const { sent, found } = sign({
    headers: ['User-Agent', 'u', 'accept-encoding', 'gzip', 'X-Own', ' a   b '],
  })
  assert.deepEqual(
    found.signedHeaders.filter((name) => !name.startsWith('x-amz-')),
    ['host', 'x-own'],
  )
  assert.equal(sent[sent.indexOf('User-Agent') + 1], 'u')
  assert.equal(sent[sent.indexOf('accept-encoding') + 1], 'gzip')
})

test('signer: a session token is sent and signed (F384)', () => {
  const { sent, found } = sign({ sessionToken: 'tok/1==' })
  assert.equal(sent[sent.indexOf('x-amz-security-token') + 1], 'tok/1==')
  assert.ok(found.signedHeaders.includes('x-amz-security-token'))
  assert.equal(found.matches, true)
})

test('signer: the host is left to the connection', () => {
  const { sent } = sign()
  assert.ok(!sent.includes('host'))
})

test('signer: another body, path, header or secret does not match', () => {
  const body = Buffer.from('{"a":1}')
  const signer = createAwsSigner('bedrock', 'us-east-1')
  const headers = signer({ url, target: '/p', headers: ['x-own', '1'], body }, keys, at)
  const request = { method: 'POST', url: '/p', rawHeaders: [...headers, 'host', url.host], body }
  assert.equal(verifySignature(request, 'the-secret').matches, true)
  const otherHeader = request.rawHeaders.map((each) => (each === '1' ? '2' : each))
  assert.equal(verifySignature(request, 'another').matches, false)
  assert.equal(verifySignature({ ...request, url: '/q' }, 'the-secret').matches, false)
  assert.equal(verifySignature({ ...request, body: '{"a":2}' }, 'the-secret').matches, false)
  assert.equal(
    verifySignature({ ...request, rawHeaders: otherHeader }, 'the-secret').matches,
    false,
  )
})

test("signer: AWS's own signer comes to the same, for any request", async () => {
  const random = createRandom()
  for (let round = 0; round < 200; round++) {
    const headers: string[] = []
    const count = random.below(6)
    for (let i = 0; i < count; i++) {
      headers.push(`x-h${i}`, ` ${'a b  c,;=\t"\\'.slice(random.below(10))}${random.below(9)} `)
    }
    const target = `/p/${encodeURIComponent('a:b/c d%~*é'.slice(random.below(8)))}/invoke`
    const body = Buffer.from('ü'.repeat(random.below(50)))
    const pair = random.chance(50) ? keys : { ...keys, sessionToken: 'tok/1==' }
    const ours = createAwsSigner('bedrock', 'us-east-1')({ url, target, headers, body }, pair, at)
    assert.equal(
      ours[ours.indexOf('authorization') + 1],
      await signWithLibrary(target, headers, body, pair),
      `seed ${random.seed} round ${round}`,
    )
  }
})

test('signer: aws4, which shares no code with AWS, comes to the same', () => {
  for (const sessionToken of [undefined, 'tok/1==']) {
    for (const target of [
      '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream',
      '/v1/messages',
      '/anthropic/v1/messages/count_tokens',
    ]) {
      const body = `{"text":"${'ü😀'.repeat(1000)}"}`
      const { sent } = sign({
        target,
        body,
        headers: ['content-type', 'application/json'],
        ...(sessionToken && { sessionToken }),
      })
      const headers: Record<string, string> = { host: url.host }
      for (let i = 0; i + 1 < sent.length; i += 2) headers[sent[i] ?? ''] = sent[i + 1] ?? ''
      const { authorization, ...unsigned } = headers
      const request = {
        service: 'bedrock',
        region: 'us-east-1',
        method: 'POST',
        path: target,
        headers: unsigned,
        body,
        // It would sign the length, which AWS leaves to whoever signs.
        extraHeadersToIgnore: { 'content-length': true },
      }
      const signed = aws4.sign(
        request,
        sessionToken === undefined ? keys : { ...keys, sessionToken },
      )
      assert.equal(signed.headers?.['Authorization'], authorization, target)
    }
  }
})

async function signWithLibrary(
  path: string,
  flat: readonly string[],
  body: Uint8Array,
  credentials: AwsKeys,
): Promise<string | undefined> {
  const headers: Record<string, string> = { host: url.host }
  for (let i = 0; i + 1 < flat.length; i += 2) headers[flat[i] ?? ''] = flat[i + 1] ?? ''
  const signer = new SignatureV4({
    service: 'bedrock',
    region: 'us-east-1',
    credentials,
    sha256: Sha256,
  })
  const request = { method: 'POST', protocol: 'https:', hostname: url.host, path, headers, body }
  const signed = await signer.sign(request, { signingDate: new Date(at) })
  return signed.headers['authorization']
}

test('signer: the derived key is that of the day and of the keys', () => {
  const signer = createAwsSigner('bedrock', 'us-east-1')
  const body = Buffer.from('{}')
  const other = { accessKeyId: 'AKID', secretAccessKey: 'another' }
  for (const [pair, nowMs] of [
    [keys, at],
    [other, at],
    [keys, at + 86_400_000],
    [keys, at],
  ] as const) {
    const sent = signer({ url, target: '/p', headers: [], body }, pair, nowMs)
    const rawHeaders = [...sent, 'host', url.host]
    const request = { method: 'POST', url: '/p', rawHeaders, body }
    assert.equal(verifySignature(request, pair.secretAccessKey).matches, true)
  }
})

/** The library's interface on Node's hashes. */
class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', toBytes(secret))
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(toBytes(data))
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }

  reset(): void {
    assert.fail('each hash is used once')
  }
}

function toBytes(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
