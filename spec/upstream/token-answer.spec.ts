import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTokenAnswer } from '../../lib/upstream/token-answer.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const clock = createFakeClock()
const read = (body: unknown, status = 200) =>
  readTokenAnswer(
    new Response(typeof body === 'string' ? body : JSON.stringify(body), { status }),
    clock,
  )

test('token answer: the access token and when it ends', async () => {
  const answer = { access_token: 'at', expires_in: 3600, token_type: 'Bearer' }
  assert.deepEqual(await read(answer), { value: 'at', expiresAt: clock.now() + 3_600_000 })
  assert.deepEqual(await read({ access_token: 'at', expires_in: '60' }), {
    value: 'at',
    expiresAt: clock.now() + 60_000,
  })
})

test('token answer: a token whose life is not told is a short one', async () => {
  for (const expires_in of [undefined, null, 'soon', {}]) {
    const { expiresAt } = await read({ access_token: 'at', expires_in })
    assert.equal(expiresAt, clock.now() + 600_000)
  }
})

test('token answer: an error is told with its beginning', async () => {
  const told = read(`{"error":"invalid_grant"}${'x'.repeat(10_000)}`, 400)
  await assert.rejects(told, (error: Error) => {
    assert.match(error.message, /^the token endpoint answered 400: \{"error":"invalid_grant"\}x/)
    return error.message.length < 600
  })
})

test('token answer: without a token the answer is not told: it might hold one', async () => {
  const told = { message: 'the token endpoint answered without an access token' }
  for (const body of ['', 'secret', '{"id_token":"secret"}', '[]', 'null', '{"access_token":""}']) {
    await assert.rejects(read(body), told, body)
  }
})
