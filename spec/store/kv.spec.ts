import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { createKv } from '../../lib/store/kv.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { createDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

const database = await createDatabase()
const store = openStore({ after }, database.url)
await migrate({ store, log: createRecorder().log })
const kv = createKv(store)
/** A second replica: a pool of its own on the same rows. */
const otherKv = createKv(openStore({ after }, database.url))

const expire = (key: string) =>
  database.query(`UPDATE kv SET expires_at = now() - interval '1 second' WHERE key = $1`, [key])

test('kv: a value set by one replica is read by another', async () => {
  await kv.set('greeting', 'hello', 60)
  assert.equal(await otherKv.get('greeting'), 'hello')
  await otherKv.set('greeting', 'good evening', 60)
  assert.equal(await kv.get('greeting'), 'good evening')
  assert.equal(await kv.get('nothing'), null)
})

test('kv: the expiry is the database’s time plus the whole life', async () => {
  await kv.set('timed', 'x', 600)
  const [row] = await database.query(
    `SELECT extract(epoch FROM expires_at - now())::float8 AS left FROM kv WHERE key = 'timed'`,
  )
  const left = Number(row?.['left'])
  assert.ok(left > 500 && left <= 600, String(left))
  await kv.set('timed', 'y', 1200)
  const [renewed] = await database.query(
    `SELECT expires_at > now() + interval '15 minutes' AS renewed FROM kv WHERE key = 'timed'`,
  )
  assert.equal(renewed?.['renewed'], true)
})

test('kv: an expired value is gone for every call, though its row still stands', async () => {
  for (const call of [
    (key: string) => kv.get(key),
    (key: string) => kv.take(key),
    async (key: string) => ((await kv.replace(key, 'old', 'new', 60)) ? 'replaced' : null),
  ]) {
    await kv.set('stale', 'old', 60)
    await expire('stale')
    assert.equal(await call('stale'), null)
  }
})

test('kv: a row without expiry lives', async () => {
  await database.query(`INSERT INTO kv (key, value) VALUES ('endless', 'x')`)
  assert.equal(await kv.get('endless'), 'x')
  assert.equal(await kv.claim('endless', 'y', 60), false)
  assert.equal(await kv.take('endless'), 'x')
})

test('kv: take returns the value once', async () => {
  await kv.set('grant', 'token', 60)
  assert.equal(await kv.take('grant'), 'token')
  assert.equal(await kv.take('grant'), null)
})

test('kv: of twenty parallel takes on two replicas exactly one gets the value', async () => {
  for (let round = 0; round < 10; round++) {
    await kv.set('prize', 'value', 60)
    const taken = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? kv : otherKv).take('prize')),
    )
    assert.deepEqual(
      taken.filter((value) => value !== null),
      ['value'],
    )
  }
})

test('kv: replace changes only the value that was seen', async () => {
  await kv.set('state', 'pending', 60)
  assert.equal(await kv.replace('state', 'approved', 'x', 60), false)
  assert.equal(await kv.replace('state', 'pending', 'approved', 60), true)
  assert.equal(await kv.replace('state', 'pending', 'denied', 60), false)
  assert.equal(await kv.get('state'), 'approved')
  assert.equal(await kv.replace('absent', 'x', 'y', 60), false)
})

test('kv: of parallel replaces of one value exactly one wins, and its value stands', async () => {
  await kv.set('race', 'start', 60)
  const won = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      (n % 2 === 0 ? kv : otherKv).replace('race', 'start', `by ${n}`, 60),
    ),
  )
  assert.equal(won.filter(Boolean).length, 1)
  assert.equal(await kv.get('race'), `by ${won.indexOf(true)}`)
})

test('kv: claim takes a free or expired key and leaves a living one alone', async () => {
  assert.equal(await kv.claim('seat', 'first', 60), true)
  assert.equal(await kv.claim('seat', 'second', 60), false)
  assert.equal(await kv.get('seat'), 'first')
  await expire('seat')
  assert.equal(await kv.claim('seat', 'third', 60), true)
  assert.equal(await kv.get('seat'), 'third')
})

test('kv: of parallel claims of a new and of an expired key exactly one wins', async () => {
  const race = () =>
    Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? kv : otherKv).claim('race seat', `${n}`, 60),
      ),
    )
  assert.equal((await race()).filter(Boolean).length, 1)
  await expire('race seat')
  assert.equal((await race()).filter(Boolean).length, 1)
  assert.equal((await race()).filter(Boolean).length, 0)
})

test('kv: delete removes a key and minds no missing one', async () => {
  await kv.set('gone', 'x', 60)
  await kv.delete('gone')
  await kv.delete('gone')
  assert.equal(await kv.get('gone'), null)
})

test('kv: keys and values of any text come back as they went in', async () => {
  for (const text of ["'; DROP TABLE kv; --", '日本語 \u{1F600}', '%_\\', ' ', '']) {
    await kv.set(`text ${text}`, text, 60)
    assert.equal(await kv.get(`text ${text}`), text)
  }
})

test('kv: a missing table is a store failure, not a wrong answer', async (t) => {
  const empty = createKv(openStore(t, (await createDatabase(t)).url))
  await assert.rejects(
    empty.get('x'),
    (error) => error instanceof GatewayError && error.code === 'store/unavailable',
  )
})
