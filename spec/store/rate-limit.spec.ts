import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { migrate } from '../../lib/store/migrate.ts'
import { createRateLimit } from '../../lib/store/rate-limit.ts'
import { createDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

const database = await createDatabase()
const store = openStore({ after }, database.url)
await migrate({ store, log: createRecorder().log })
const limit = createRateLimit(store)
const otherLimit = createRateLimit(openStore({ after }, database.url))

/** Lets time pass for one key. */
const age = (key: string, seconds: number) =>
  database.query(
    `UPDATE kv SET expires_at = expires_at - make_interval(secs => $2) WHERE key = $1`,
    [key, seconds],
  )

const valueOf = async (key: string) =>
  (await database.query('SELECT value FROM kv WHERE key = $1', [key]))[0]?.['value']

test('rate limit: hits up to the maximum pass, the next is refused with the rest of the window', async () => {
  for (let hit = 1; hit <= 3; hit++) {
    assert.equal((await limit.hit('rl:a', 3, 60)).allowed, true, `hit ${hit}`)
  }
  const refusal = await limit.hit('rl:a', 3, 60)
  assert.equal(refusal.allowed, false)
  assert.ok(refusal.retryAfterSeconds > 30 && refusal.retryAfterSeconds <= 60)
})

test('rate limit: the window is counted from its first hit and not prolonged', async () => {
  await limit.hit('rl:b', 1, 60)
  await age('rl:b', 50)
  const refusal = await limit.hit('rl:b', 1, 60)
  assert.equal(refusal.allowed, false)
  assert.ok(refusal.retryAfterSeconds <= 10)
  await age('rl:b', 15)
  assert.equal((await limit.hit('rl:b', 1, 60)).allowed, true)
  assert.equal(await valueOf('rl:b'), '1')
})

test('rate limit: refusals keep counting, as text in kv', async () => {
  for (let hit = 0; hit < 5; hit++) await limit.hit('rl:c', 2, 60)
  assert.equal(await valueOf('rl:c'), '5')
})

test('rate limit: keys do not share a window', async () => {
  await limit.hit('rl:d1', 1, 60)
  assert.equal((await limit.hit('rl:d2', 1, 60)).allowed, true)
})

test('rate limit: parallel hits from two replicas let exactly the maximum through', async () => {
  const verdicts = await Promise.all(
    Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? limit : otherLimit).hit('rl:e', 25, 60)),
  )
  assert.equal(verdicts.filter(({ allowed }) => allowed).length, 25)
  assert.equal(await valueOf('rl:e'), '60')
})

test('rate limit: parallel hits on an expired window open one new window together', async () => {
  await limit.hit('rl:f', 1, 60)
  await age('rl:f', 120)
  const verdicts = await Promise.all(
    Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? limit : otherLimit).hit('rl:f', 5, 60)),
  )
  assert.equal(verdicts.filter(({ allowed }) => allowed).length, 5)
  assert.equal(await valueOf('rl:f'), '20')
})

test('rate limit: a limit of nothing refuses every hit', async () => {
  assert.equal((await limit.hit('rl:g', 0, 60)).allowed, false)
})

test('rate limit: the wait is never shorter than a second', async () => {
  await limit.hit('rl:h', 1, 60)
  await age('rl:h', 59.8)
  const { retryAfterSeconds } = await limit.hit('rl:h', 1, 60)
  assert.ok(retryAfterSeconds >= 1)
})

test('rate limit: a value that is no count starts a window instead of failing', async () => {
  await database.query(
    `INSERT INTO kv (key, value, expires_at) VALUES ('rl:i', 'odd', now() + interval '1 hour')`,
  )
  assert.equal((await limit.hit('rl:i', 1, 60)).allowed, true)
  const refusal = await limit.hit('rl:i', 1, 60)
  assert.equal(refusal.allowed, false)
  assert.ok(refusal.retryAfterSeconds <= 60)
})
