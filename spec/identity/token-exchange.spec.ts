import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createClientAuthentication } from '../../lib/identity/client-authentication.ts'
import type { Conversation } from '../../lib/identity/conversation.ts'
import { parseMetadata } from '../../lib/identity/provider-metadata.ts'
import { createRotatedTokens } from '../../lib/identity/rotated-tokens.ts'
import { createTokenExchange } from '../../lib/identity/token-exchange.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { oidcDefaults } from '../support/oidc-options.ts'

const clock = createFakeClock()
const seconds = Math.floor(clock.now() / 1000)
const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
const jwk = { ...(await exportJWK(publicKey)), kid: 'k' }
const id_token = await new SignJWT({ nonce: 'n' })
  .setProtectedHeader({ alg: 'RS256', kid: 'k' })
  .setIssuer('https://idp.example.com')
  .setAudience('apps-gateway')
  .setSubject('u')
  .setIssuedAt(seconds)
  .setExpirationTime(seconds + 60)
  .sign(privateKey)

const talkTo = (jwks_uri = 'https://idp.example.com/jwks'): Conversation => ({
  requestId: 'r',
  signal: new AbortController().signal,
  step: 'token_endpoint',
  metadata: parseMetadata({
    issuer: 'https://idp.example.com',
    authorization_endpoint: 'https://idp.example.com/auth',
    token_endpoint: 'https://idp.example.com/token',
    jwks_uri,
  }),
})

function exchangeWith(answer: object) {
  const asked: string[] = []
  const fetchFrom: typeof fetch = async (input) => {
    const url = input instanceof Request ? input.url : String(input)
    asked.push(new URL(url).pathname)
    return Response.json(url.endsWith('/token') ? answer : { keys: [jwk] })
  }
  const authenticate = createClientAuthentication(oidcDefaults, clock)
  const rotated = createRotatedTokens(clock)
  const deps = { authenticate, fetchFrom, clock, rotated }
  return { exchange: createTokenExchange(oidcDefaults, deps), asked, rotated }
}

const form = (): URLSearchParams => new URLSearchParams({ grant_type: 'x' })

test('token exchange: tokens come with the verified claims of the id_token', async () => {
  const { exchange } = exchangeWith({ id_token, access_token: 'a', refresh_token: 'r' })
  const outcome = await exchange(form(), 'n', talkTo())
  assert.ok(outcome.ok)
  assert.equal(outcome.value.claims?.['sub'], 'u')
  assert.equal(outcome.value.tokens.access_token, 'a')
})

test('token exchange: without an id_token there are no claims, and no keys are fetched', async () => {
  const { exchange, asked } = exchangeWith({ access_token: 'a' })
  const outcome = await exchange(form(), undefined, talkTo())
  assert.equal(outcome.ok && outcome.value.claims, null)
  assert.deepEqual(asked, ['/token'])
})

test('token exchange: the nonce is compared only when one was sent', async () => {
  const { exchange } = exchangeWith({ id_token })
  assert.equal((await exchange(form(), undefined, talkTo())).ok, true)
  assert.equal((await exchange(form(), 'other', talkTo())).ok, false)
})

test('token exchange: keys are kept between exchanges, and fetched anew when they move', async () => {
  const { exchange, asked } = exchangeWith({ id_token })
  await exchange(form(), 'n', talkTo())
  await exchange(form(), 'n', talkTo())
  assert.deepEqual(asked, ['/token', '/jwks', '/token'])
  await exchange(form(), 'n', talkTo('https://idp.example.com/keys-2'))
  assert.deepEqual(asked.slice(3), ['/token', '/keys-2'])
})

test('token exchange: an expired id_token is refused by our clock', async () => {
  const { exchange } = exchangeWith({ id_token })
  await clock.advance(60_000)
  const outcome = await exchange(form(), 'n', talkTo())
  assert.match(outcome.ok ? '' : outcome.failure.reason, /^JWT expired/)
})

test('token exchange: a refresh token that was rotated is not used twice', async () => {
  const { exchange, asked, rotated } = exchangeWith({ access_token: 'a', refresh_token: 'new' })
  const refresh = (): URLSearchParams => new URLSearchParams({ refresh_token: 'old' })
  for (let round = 0; round < 2; round++) {
    const outcome = await exchange(refresh(), undefined, talkTo())
    assert.equal(outcome.ok && outcome.value.tokens.refresh_token, 'new')
  }
  assert.deepEqual(asked, ['/token'])
  rotated.drop('old')
  await exchange(refresh(), undefined, talkTo())
  assert.deepEqual(asked, ['/token', '/token'])
})
