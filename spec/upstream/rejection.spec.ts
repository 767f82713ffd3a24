import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hideSent, rewriteRefusal, type Refusal } from '../../lib/upstream/rejection.ts'
import { writeOut } from '../support/tsv.ts'

const fixture = new URL('../fixtures/upstream/errors.tsv', import.meta.url)
const rows = readFileSync(fixture, 'utf8')
  .split('\n')
  .slice(1)
  .filter((line) => line !== '')
  .map((line) => {
    const [
      providers = '',
      status = '',
      text = '',
      path = '',
      client = '',
      type = '',
      message = '',
    ] = line.split('\t')
    return {
      providers,
      status: Number(status),
      text: writeOut(text),
      path,
      client: Number(client),
      type,
      message: writeOut(message),
    }
  })

function providersOf(names: string): readonly string[] {
  return names === 'all four' ? ['bedrock', 'vertex', 'foundry', 'anthropicAws'] : names.split(',')
}

function rewrite(text: string, changes: Partial<Refusal> = {}): string {
  const refusal = { provider: 'vertex', status: 400, model: 'm', betas: [], text, ...changes }
  return rewriteRefusal(refusal).message
}

const envelope = (message: unknown, type = 'invalid_request_error'): string =>
  JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_x' })

test('rejection: every measured answer of a cloud gives its status, type and message', () => {
  const wrong: string[] = []
  let checked = 0
  for (const { providers, status, text, path, client, type, message } of rows) {
    // Failover answers for an upstream that is broken, and bedrock counts no tokens at all.
    if (client === 502 || message.includes('Bedrock upstream')) continue
    for (const provider of providersOf(providers)) {
      const refusal = { provider, status, text, model: 'claude-sonnet-4-6', betas: [] }
      const found = rewriteRefusal(refusal)
      // The table writes a line feed as its escape.
      const written = { ...found, message: found.message.replaceAll('\n', '\\n') }
      checked++
      const same = written.status === client && written.type === type && written.message === message
      if (!same) wrong.push(`${provider} ${status} ${path} ${text}: ${JSON.stringify(written)}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(checked > 700, String(checked))
})

test("rejection: the API's own message is kept to a thousand characters, never half a one", () => {
  assert.equal(rewrite(envelope('y'.repeat(3000))), 'y'.repeat(1000))
  const pair = `${'y'.repeat(999)}😀`
  assert.equal(rewrite(envelope(pair)), 'y'.repeat(999))
  assert.equal(rewrite(envelope(`${'y'.repeat(998)}😀z`)), `${'y'.repeat(998)}😀`)
})

test('rejection: what only looks like the API is not relayed', () => {
  const secret = 'arn:aws:bedrock:us-east-1:123456789012:x'
  for (const text of [
    envelope(secret, 'timeout_error'),
    envelope(secret, 'some_type'),
    envelope(['x']),
    envelope(''),
    envelope(null),
    JSON.stringify({ error: { type: 'invalid_request_error', message: secret } }),
    JSON.stringify({ type: 'failure', error: { type: 'api_error', message: secret } }),
    JSON.stringify({ type: 'error', error: secret }),
    JSON.stringify({ type: 'error', error: [secret], message: [secret] }),
    JSON.stringify([]),
    JSON.stringify(secret),
    `<html>${secret}</html>`,
    '{"message":',
    '7',
    '',
  ]) {
    assert.equal(rewrite(text), 'upstream rejected the request', text)
  }
})

test('rejection: a status of 413 keeps its message and gets no token', () => {
  assert.deepEqual(
    rewriteRefusal({
      provider: 'foundry',
      status: 413,
      text: envelope('Request exceeds the maximum size'),
      model: 'm',
      betas: [],
    }),
    { status: 413, type: 'request_too_large', message: 'Request exceeds the maximum size' },
  )
  const text = '{"message":"prompt is too long"}'
  assert.equal(rewrite(text, { status: 413 }), 'request too large for this upstream')
})

test('rejection: no other status says what the provider said', () => {
  for (const status of [
    300, 307, 401, 402, 403, 404, 409, 422, 429, 499, 500, 501, 503, 529, 599,
  ]) {
    const { status: client, message } = rewriteRefusal({
      provider: 'bedrock',
      status,
      text: envelope('account 123 prompt is too long'),
      model: 'm',
      betas: [],
    })
    assert.equal(client, status)
    assert.match(message, /upstream/)
    assert.doesNotMatch(message, /123|prompt/)
  }
})

test('rejection: an upstream that is overloaded or away is told apart', () => {
  const told = (status: number) =>
    rewriteRefusal({ provider: 'vertex', status, text: 'secret', model: 'm', betas: [] })
  assert.deepEqual(told(529), {
    status: 529,
    type: 'overloaded_error',
    message: 'upstream overloaded',
  })
  assert.deepEqual(told(503), { status: 503, type: 'api_error', message: 'upstream error' })
})

test('rejection: a token is found behind JSON in the message, to a bounded depth', () => {
  const wrap = (message: string): string => JSON.stringify({ message })
  const inner = '{"error":{"message":"role \'system\' is not supported"}}'
  const token = 'capability_rejected: mid_conv_system'
  assert.equal(rewrite(wrap(inner)), token)
  assert.equal(rewrite(wrap(wrap('Input is too long'))), 'Input is too long.')
  assert.equal(
    rewrite(wrap(wrap(wrap(wrap('Input is too long'))))),
    'upstream rejected the request',
  )
  assert.equal(rewrite(wrap('{"message":')), 'upstream rejected the request')
})

test('rejection: the betas that the client sent name the one that was refused', () => {
  const text = '{"message":"Unexpected value(s) `b-2` for the `anthropic-beta` header"}'
  assert.equal(rewrite(text, { betas: ['a-1', 'b-2'] }), 'capability_rejected: beta_header:b-2')
  assert.equal(rewrite(text), 'upstream rejected the request')
})

test('rejection: an unknown model is named as the client spelled it, on bedrock only', () => {
  const text = '{"message":"The provided model identifier is invalid."}'
  const model = 'claude-opus-4-8'
  const named = rewrite(text, { provider: 'bedrock', model })
  assert.equal(named, 'model claude-opus-4-8 is not available on bedrock')
  assert.equal(rewrite(text, { provider: 'mantle', model }), 'upstream rejected the request')
})

test('rejection: what a refusal quotes of our credentials is hidden, the rest stays', () => {
  const sent = {
    Authorization: 'Bearer token-of-the-cloud',
    'x-amz-security-token': 'session-of-the-role',
    'X-Team': 'value-of-the-operator',
    'content-type': 'application/json',
    'x-short': 'on',
  }
  const headers = Object.entries(sent).flat()
  assert.equal(
    hideSent(
      'on application/json: Bearer token-of-the-cloud, (token-of-the-cloud) session-of-the-role value-of-the-operator',
      headers,
    ),
    'on application/json: [hidden], ([hidden]) [hidden] [hidden]',
  )
  assert.equal(hideSent('no such model', headers), 'no such model')
})
