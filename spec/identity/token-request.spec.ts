import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../../lib/identity/json-object.ts'
import { codeForm, readTokens, refreshForm } from '../../lib/identity/token-request.ts'

const redirect = 'https://gw.example.com/oauth/callback'

test('token request: a code is traded with its redirect URI and verifier', () => {
  assert.equal(
    codeForm('c d', redirect, 'v').toString(),
    'grant_type=authorization_code&code=c+d&redirect_uri=https%3A%2F%2Fgw.example.com%2Foauth%2Fcallback&code_verifier=v',
  )
})

test('token request: without PKCE there is no verifier', () => {
  assert.equal(codeForm('c', redirect, undefined).has('code_verifier'), false)
})

test('token request: a refresh names the scope only when asked to', () => {
  assert.equal(refreshForm('r', undefined).toString(), 'grant_type=refresh_token&refresh_token=r')
  assert.equal(refreshForm('r', 'openid email').get('scope'), 'openid email')
})

const answer = (status: number, json: JsonObject | null = null) =>
  ({ ok: true, status, json }) as const

test('token request: the tokens of an answer are read, whatever else it has', () => {
  assert.deepEqual(
    readTokens(
      answer(200, { id_token: 'i', access_token: 'a', refresh_token: 'r', expires_in: 5 }),
    ),
    { ok: true, value: { id_token: 'i', access_token: 'a', refresh_token: 'r' } },
  )
})

test('token request: a token that is no text is no token', () => {
  const tokens = readTokens(answer(200, { id_token: 5, access_token: null }))
  assert.deepEqual(tokens, {
    ok: true,
    value: { id_token: undefined, access_token: undefined, refresh_token: undefined },
  })
})

const verdict = (read: ReturnType<typeof readTokens>): readonly [boolean, string] | 'ok' =>
  read.ok ? 'ok' : [read.failure.refused, read.failure.reason]

test('token request: invalid_grant is a refusal', () => {
  assert.deepEqual(verdict(readTokens(answer(400, { error: 'invalid_grant' }))), [
    true,
    'invalid_grant',
  ])
  assert.deepEqual(verdict(readTokens(answer(401, { error: 'invalid_grant' }))), [
    true,
    'invalid_grant',
  ])
})

test('token request: any other error may be over in a minute', () => {
  for (const error of [
    'invalid_client',
    'interaction_required',
    'temporarily_unavailable',
    'slow_down',
  ]) {
    assert.deepEqual(verdict(readTokens(answer(400, { error }))), [false, error])
  }
  assert.deepEqual(verdict(readTokens(answer(500, { error: 'invalid_grant' }))), [
    false,
    'invalid_grant',
  ])
})

test('token request: the description is quoted for the operator, at bounded length', () => {
  const [, reason] = verdict(
    readTokens(answer(401, { error: 'invalid_client', error_description: 'AADSTS7000215' })),
  )
  assert.equal(reason, 'invalid_client (AADSTS7000215)')
  const [, long] = verdict(
    readTokens(answer(400, { error: 'x', error_description: 'y'.repeat(9000) })),
  )
  assert.ok(typeof long === 'string' && long.length <= 301)
})

test('token request: answers that are no OAuth answer are outages', () => {
  assert.deepEqual(verdict(readTokens(answer(500))), [false, 'expected 200 OK, got: 500'])
  assert.deepEqual(verdict(readTokens(answer(302))), [false, 'expected 200 OK, got: 302'])
  assert.deepEqual(verdict(readTokens(answer(400, { error: 5 }))), [
    false,
    'expected 200 OK, got: 400',
  ])
  assert.deepEqual(verdict(readTokens(answer(200))), [false, 'the answer is not a JSON object'])
  assert.deepEqual(verdict(readTokens({ ok: false, reason: 'socket hang up' })), [
    false,
    'socket hang up',
  ])
})
