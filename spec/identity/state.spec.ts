import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeal } from '../../lib/identity/seal.ts'
import { createSessionKeys } from '../../lib/identity/session-key.ts'
import { createStates, isSameBrowser, type States } from '../../lib/identity/state.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'

const seal = createSeal(createSessionKeys(['s'.repeat(40)]), 'sign-in state')
const redirect_uri = 'https://gw.example.com/oauth/callback'
const statesOf = (clock: FakeClock = createFakeClock(), pkce = true): States =>
  createStates(seal, pkce, clock)

test('state: it brings back the grant and the secrets of the exchange', async () => {
  const states = statesOf()
  const issued = await states.issue('device:dc:1', redirect_uri)
  const opened = await states.open(issued.state)
  assert.ok(opened !== null)
  assert.equal(opened.grantKey, 'device:dc:1')
  assert.equal(opened.nonce, issued.nonce)
  assert.equal(opened.code_verifier, issued.code_verifier)
  assert.equal(opened.redirect_uri, redirect_uri)
})

test('state: nonce, verifier and cookie have 43 characters of randomness each', async () => {
  const one = await statesOf().issue('k', redirect_uri)
  const two = await statesOf().issue('k', redirect_uri)
  for (const name of ['nonce', 'code_verifier', 'cookie'] as const) {
    assert.match(one[name] ?? '', /^[\w-]{43}$/)
    assert.notEqual(one[name], two[name])
  }
  assert.equal(new Set([one.nonce, one.code_verifier, one.cookie]).size, 3)
})

test('state: neither the cookie nor the verifier can be read from it', async () => {
  const issued = await statesOf().issue('device:dc:1', redirect_uri)
  const visible = issued.state
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    .join()
  assert.doesNotMatch(visible, /device:dc/)
  assert.equal(visible.includes(issued.cookie), false)
  assert.equal(visible.includes(issued.code_verifier ?? 'none'), false)
})

test('state: without PKCE there is no verifier', async () => {
  const states = statesOf(createFakeClock(), false)
  const issued = await states.issue('k', redirect_uri)
  assert.equal(issued.code_verifier, undefined)
  assert.equal((await states.open(issued.state))?.code_verifier, undefined)
})

test('state: only the browser it was issued to has the cookie', async () => {
  const states = statesOf()
  const issued = await states.issue('k', redirect_uri)
  const opened = await states.open(issued.state)
  assert.ok(opened !== null)
  assert.equal(isSameBrowser(opened, [issued.cookie]), true)
  assert.equal(isSameBrowser(opened, ['stale', issued.cookie]), true)
  assert.equal(isSameBrowser(opened, ['stale']), false)
  assert.equal(isSameBrowser(opened, [opened.browser]), false, 'the hash is not the cookie')
  assert.equal(isSameBrowser(opened, []), false)
})

test('state: it is over after ten minutes', async () => {
  const clock = createFakeClock()
  const states = statesOf(clock)
  const { state } = await states.issue('k', redirect_uri)
  await clock.advance(599_999)
  assert.notEqual(await states.open(state), null)
  await clock.advance(1)
  assert.equal(await states.open(state), null)
})

test('state: something else under the same seal is no state', async () => {
  for (const content of ['x', '[]', '{}', '{"grantKey":"k","nonce":"n"}']) {
    assert.equal(await statesOf().open(await seal.seal(content)), null)
  }
  assert.equal(await statesOf().open('zzz'), null)
})
