import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Conversation } from '../../lib/identity/conversation.ts'
import { askUserinfo } from '../../lib/identity/userinfo.ts'

/** A provider that answers every request the same. */
function answering(status: number, body: string): { fetchFrom: typeof fetch; asked: string[] } {
  const asked: string[] = []
  const fetchFrom: typeof fetch = async (_, init) => {
    asked.push(new Headers(init?.headers).get('authorization') ?? '')
    return new Response(body, { status })
  }
  return { fetchFrom, asked }
}

function talk(userinfo_endpoint: string | undefined = 'https://idp/me'): Conversation {
  return {
    requestId: 'r',
    signal: new AbortController().signal,
    step: 'claims',
    metadata: {
      issuer: 'https://idp',
      authorization_endpoint: 'https://idp/a',
      token_endpoint: 'https://idp/t',
      jwks_uri: 'https://idp/j',
      userinfo_endpoint,
      revocation_endpoint: undefined,
      token_endpoint_auth_methods_supported: undefined,
      scopes_supported: undefined,
      authorization_response_iss_parameter_supported: false,
    },
  }
}

async function ask(
  body: string,
  { status = 200, sub }: { status?: number; sub?: string } = {},
): Promise<string> {
  const outcome = await askUserinfo(answering(status, body).fetchFrom, 'token', sub, talk())
  if (outcome.ok) return JSON.stringify(outcome.value)
  const { refused, step, reason } = outcome.failure
  return `${refused ? 'refused' : 'unavailable'} at ${step}: ${reason}`
}

test('userinfo: the claims of the person of the id_token come back', async () => {
  assert.equal(await ask('{"sub":"u","email":"e"}', { sub: 'u' }), '{"sub":"u","email":"e"}')
})

test('userinfo: it is asked with the access token', async () => {
  const { fetchFrom, asked } = answering(200, '{"sub":"u"}')
  await askUserinfo(fetchFrom, 'the-token', 'u', talk())
  assert.deepEqual(asked, ['Bearer the-token'])
})

test('userinfo: without an id_token any person is the person', async () => {
  assert.equal(await ask('{"sub":"u"}'), '{"sub":"u"}')
})

test('userinfo: another person’s claims are refused', async () => {
  assert.equal(
    await ask('{"sub":"v"}', { sub: 'u' }),
    'refused at claims: userinfo sub missing or does not match id_token sub',
  )
})

test('userinfo: an answer about nobody counts for nobody', async () => {
  for (const body of ['{}', '{"sub":""}', '{"sub":5}']) {
    assert.match(await ask(body), /^unavailable at claims: userinfo sub missing/)
  }
})

test('userinfo: troubles are outages with their reason', async () => {
  assert.match(await ask('{}', { status: 401 }), /^unavailable .*expected 200 OK, got: 401$/)
  assert.match(await ask('<html>'), /^unavailable .*not a JSON object$/)
  const broken: typeof fetch = () => Promise.reject(new Error('socket hang up'))
  const outcome = await askUserinfo(broken, 'token', 'u', talk())
  assert.equal(outcome.ok ? '' : outcome.failure.reason, 'userinfo: socket hang up')
})

test('userinfo: without endpoint or access token nobody is asked', async () => {
  const { fetchFrom, asked } = answering(200, '{"sub":"u"}')
  const { metadata, ...rest } = talk()
  const none = { ...rest, metadata: { ...metadata, userinfo_endpoint: undefined } }
  assert.equal((await askUserinfo(fetchFrom, 'token', 'u', none)).ok, false)
  assert.equal((await askUserinfo(fetchFrom, undefined, 'u', talk())).ok, false)
  assert.deepEqual(asked, [])
})
