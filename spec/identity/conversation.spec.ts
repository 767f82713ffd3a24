import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConverse } from '../../lib/identity/conversation.ts'
import { refuse, succeed } from '../../lib/identity/outcome.ts'
import { parseMetadata, type MetadataSource } from '../../lib/identity/provider-metadata.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const metadata = parseMetadata({
  issuer: 'https://idp',
  authorization_endpoint: 'https://idp/a',
  token_endpoint: 'https://idp/t',
  jwks_uri: 'https://idp/j',
})
const known: MetadataSource = {
  get: () => Promise.resolve(metadata),
  load: () => Promise.resolve(metadata),
}

test('conversation: the work gets the metadata and the request’s id, its outcome passes', async () => {
  const converse = createConverse(known, createFakeClock())
  const outcome = await converse('r-1', async (talk) =>
    succeed([talk.requestId, talk.metadata.issuer]),
  )
  assert.deepEqual(outcome, { ok: true, value: ['r-1', 'https://idp'] })
  const refused = await converse('r-1', async () => refuse('claims', 'no'))
  assert.deepEqual(refused, refuse('claims', 'no'))
})

test('conversation: after ten seconds it is an outage at the step it had reached', async () => {
  const clock = createFakeClock()
  const converse = createConverse(known, clock)
  let signal: AbortSignal | undefined
  const waiting = converse('r', (talk) => {
    talk.step = 'userinfo_no_id_token'
    signal = talk.signal
    return new Promise<never>(() => {})
  })
  await clock.advance(9_999)
  assert.equal(signal?.aborted, false)
  await clock.advance(1)
  assert.deepEqual(await waiting, {
    ok: false,
    failure: {
      step: 'userinfo_no_id_token',
      refused: false,
      reason: 'identity provider timed out after 10000 ms',
    },
  })
  assert.equal(signal?.aborted, true)
})

test('conversation: a provider never reached is an outage at its first step', async () => {
  const gone: MetadataSource = { ...known, get: () => Promise.reject(new Error('no document')) }
  const outcome = await createConverse(gone, createFakeClock())('r', () => assert.fail('reached'))
  assert.deepEqual(outcome.ok ? null : outcome.failure, {
    step: 'token_endpoint',
    refused: false,
    reason: 'no document',
  })
})
