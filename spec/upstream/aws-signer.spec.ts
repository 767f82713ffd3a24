import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAwsSigner } from '../../lib/upstream/aws-signer.ts'
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
async function sign(options: Options = {}): Promise<{ sent: string[]; found: Signature }> {
  const {
    target = '/model/m/invoke',
    headers = ['accept', 'a/b'],
    sessionToken,
    to = url,
  } = options
  const body = Buffer.from(options.body ?? '{"a":1}')
  const all = sessionToken === undefined ? keys : { ...keys, sessionToken }
  const signer = createAwsSigner('bedrock', 'us-east-1')
  const sent = await signer({ url: to, target, headers, body }, all, at)
  const rawHeaders = [...sent, 'host', to.host]
  const request = { method: 'POST', url: target, rawHeaders, body }
  return { sent, found: verifySignature(request, keys.secretAccessKey) }
}

test('signer: AWS comes to the same signature, for this service, region and time', async () => {
  const { sent, found } = await sign()
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

test('signer: the path is encoded once more, however it is spelled', async () => {
  for (const model of [
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    'anthropic.claude-sonnet-4-5-20250929-v1%3A0',
    'arn:aws:bedrock:us-east-1:111111111111:application-inference-profile%2Fabc123',
    "odd!'()*~_-. name".replace(' ', '%20'),
  ]) {
    const { found } = await sign({ target: `/model/${model}/invoke` })
    assert.equal(found.matches, true, model)
  }
})

test('signer: a port, a prefix and a large body of any bytes are covered', async () => {
  const { found } = await sign({
    to: new URL('http://127.0.0.1:9521'),
    target: '/vpce/model/m/invoke',
    body: `{"text":"${'ü😀'.repeat(10_000)}"}`,
  })
  assert.equal(found.matches, true)
})

test('signer: what may change on the way is sent but not signed, all else is signed', async () => {
  const { sent, found } = await sign({
    headers: ['User-Agent', 'u', 'accept-encoding', 'gzip', 'X-Own', ' a   b ', 'x-own', 'c'],
  })
  assert.deepEqual(
    found.signedHeaders.filter((name) => !name.startsWith('x-amz-')),
    ['host', 'x-own'],
  )
  assert.equal(sent[sent.indexOf('user-agent') + 1], 'u')
  assert.equal(sent[sent.indexOf('accept-encoding') + 1], 'gzip')
})

test('signer: a session token is sent and signed', async () => {
  const { sent, found } = await sign({ sessionToken: 'tok/1==' })
  assert.equal(sent[sent.indexOf('x-amz-security-token') + 1], 'tok/1==')
  assert.ok(found.signedHeaders.includes('x-amz-security-token'))
  assert.equal(found.matches, true)
})

test('signer: the host is left to the connection', async () => {
  const { sent } = await sign()
  assert.ok(!sent.includes('host'))
})

test('signer: another body, path, header or secret does not match', async () => {
  const body = Buffer.from('{"a":1}')
  const signer = createAwsSigner('bedrock', 'us-east-1')
  const headers = await signer({ url, target: '/p', headers: ['x-own', '1'], body }, keys, at)
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
