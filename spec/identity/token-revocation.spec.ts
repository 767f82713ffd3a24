import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Conversation } from '../../lib/identity/conversation.ts'
import { parseMetadata } from '../../lib/identity/provider-metadata.ts'
import { createTokenRevocation } from '../../lib/identity/token-revocation.ts'

const document = {
  issuer: 'https://idp',
  authorization_endpoint: 'https://idp/a',
  token_endpoint: 'https://idp/t',
  jwks_uri: 'https://idp/j',
}
const talk = (revocation_endpoint?: string): Conversation => ({
  requestId: 'r',
  signal: new AbortController().signal,
  step: 'token_endpoint',
  metadata: parseMetadata({ ...document, revocation_endpoint }),
})

async function giveBack(status: number, body = '', endpoint = 'https://idp/revoke') {
  const asked: string[] = []
  const fetchFrom: typeof fetch = async (_, init) => {
    asked.push(typeof init?.body === 'string' ? init.body : '')
    return new Response(body, { status })
  }
  const revoke = createTokenRevocation(async (form) => {
    form.set('client_id', 'gw')
    return {}
  }, fetchFrom)
  const outcome = await revoke('a token', talk(endpoint === '' ? undefined : endpoint))
  return { outcome, asked }
}

test('token revocation: the provider gets the token, what it is, and who gives it back', async () => {
  const { outcome, asked } = await giveBack(200)
  assert.equal(outcome.ok, true)
  assert.deepEqual(asked, ['token=a+token&token_type_hint=refresh_token&client_id=gw'])
})

test('token revocation: without such an endpoint nobody is asked', async () => {
  const { outcome, asked } = await giveBack(200, '', '')
  assert.equal(outcome.ok, true)
  assert.deepEqual(asked, [])
})

test('token revocation: a token the provider does not know is as good as revoked', async () => {
  for (const error of [
    'invalid_token',
    'invalid_grant',
    'invalid_request',
    'unsupported_token_type',
  ]) {
    assert.equal((await giveBack(400, JSON.stringify({ error }))).outcome.ok, true, error)
  }
})

test('token revocation: anything else is an outage with its reason', async () => {
  const reasonOf = async (status: number, body: string): Promise<string> => {
    const { outcome } = await giveBack(status, body)
    return outcome.ok ? 'ok' : outcome.failure.reason
  }
  assert.equal(await reasonOf(500, '<html>'), 'revocation: expected 200 OK, got: 500')
  assert.equal(await reasonOf(503, '{"error":"invalid_token"}'), 'revocation: invalid_token')
  assert.equal(await reasonOf(401, '{"error":"invalid_client"}'), 'revocation: invalid_client')
  assert.equal(await reasonOf(302, ''), 'revocation: expected 200 OK, got: 302')
})
