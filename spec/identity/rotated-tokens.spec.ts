import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { createRotatedTokens } from '../../lib/identity/rotated-tokens.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { startBench } from '../support/sign-in.ts'

const bench = await startBench({ after })
const { provider } = bench
afterEach(() => {
  provider.misbehave('userinfo', null)
  provider.misbehave('jwks', null)
  provider.rewriteTokens(null)
})

const tokens = (refresh_token?: string) => ({ id_token: 'i', access_token: 'a', refresh_token })

test('rotated tokens: what a provider gave for a token is found by that token', () => {
  const rotated = createRotatedTokens(createFakeClock())
  rotated.keep('old', tokens('new'))
  assert.deepEqual(rotated.find('old'), tokens('new'))
  assert.equal(rotated.find('new'), undefined)
  rotated.drop('old')
  assert.equal(rotated.find('old'), undefined)
})

test('rotated tokens: without rotation nothing is kept', () => {
  const rotated = createRotatedTokens(createFakeClock())
  rotated.keep('same', tokens('same'))
  rotated.keep('none', tokens())
  assert.equal(rotated.find('same'), undefined)
  assert.equal(rotated.find('none'), undefined)
})

test('rotated tokens: they are kept for five minutes', async () => {
  const clock = createFakeClock()
  const rotated = createRotatedTokens(clock)
  rotated.keep('old', tokens('new'))
  await clock.advance(299_000)
  assert.deepEqual(rotated.find('old'), tokens('new'))
  await clock.advance(2_000)
  assert.equal(rotated.find('old'), undefined)
})

test('rotated tokens: their number is bounded', () => {
  const rotated = createRotatedTokens(createFakeClock())
  for (let index = 0; index <= 1000; index++) rotated.keep(`old-${index}`, tokens('new'))
  assert.equal(rotated.find('old-0'), undefined)
  assert.deepEqual(rotated.find('old-1'), tokens('new'))
})

/** Answers of the token endpoint lose their id_token, so that claims come from userinfo. */
const withoutIdToken = (answer: Record<string, unknown>): Record<string, unknown> => ({
  ...answer,
  id_token: undefined,
})

test('rotated tokens: an outage behind the token endpoint signs nobody out', async () => {
  const gateway = bench.gateway()
  const { refresh_token } = await gateway.signIn()
  provider.rewriteTokens(withoutIdToken)
  provider.misbehave('userinfo', { kind: 'answer', status: 500, body: '' })
  for (const round of [1, 2, 3]) {
    const reply = await gateway.refresh(String(refresh_token))
    assert.equal(reply.status, 503, `round ${round}`)
  }
  provider.misbehave('userinfo', null)
  const renewed = await gateway.refresh(String(refresh_token))
  assert.equal(renewed.status, 200, renewed.text)
  assert.notEqual(renewed.json['refresh_token'], refresh_token, 'the provider rotated')
  assert.equal((await gateway.refresh(String(renewed.json['refresh_token']))).status, 200)
  assert.equal(
    (await gateway.refresh(String(refresh_token))).status,
    401,
    'once it was answered, the old one is the provider’s to refuse',
  )
})

test('rotated tokens: keys that cannot be fetched cost nobody the session', async () => {
  const { refresh_token } = await bench.gateway().signIn()
  const gateway = bench.gateway() // it has no keys yet
  provider.misbehave('jwks', { kind: 'reset' })
  assert.equal((await gateway.refresh(String(refresh_token))).status, 503)
  provider.misbehave('jwks', null)
  assert.equal((await gateway.refresh(String(refresh_token))).status, 200)
})

test('rotated tokens: a token given back meanwhile is over, and so is its successor', async () => {
  const gateway = bench.gateway({ deps: { revocation: bench.revocation } })
  await gateway.identity.start()
  after(() => gateway.identity.close())
  const { refresh_token } = await gateway.signIn()
  provider.rewriteTokens(withoutIdToken)
  provider.misbehave('userinfo', { kind: 'reset' })
  assert.equal((await gateway.refresh(String(refresh_token))).status, 503)
  provider.misbehave('userinfo', null)
  const body = new URLSearchParams({ token: String(refresh_token) }).toString()
  assert.equal((await gateway.call('revoke', { method: 'POST', body })).status, 200)
  assert.notEqual(provider.requests('revocation').at(-1)?.form.get('token'), refresh_token)
  assert.equal((await gateway.refresh(String(refresh_token))).status, 401)
})
