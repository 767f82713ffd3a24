import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { createGrants, type Grants } from '../../lib/identity/grant.ts'
import { createSeal } from '../../lib/identity/seal.ts'
import { createSessionKeys } from '../../lib/identity/session-key.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { openDatabase } from '../../lib/store/database.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'

const database = await createDatabase({ after })
const config = {
  postgres_url: database.url,
  max_connections: 10,
  connect_timeout_seconds: 5,
  readiness_grace_seconds: 0,
}
const opened = openDatabase(config, { clock: systemClock, log: createRecorder().log })
await opened.start(new AbortController().signal)
after(() => opened.close())
const { kv } = opened

const secret = 'a-secret-of-more-than-thirty-two-characters'
const seal = createSeal(createSessionKeys([secret]), 'device grant')
const grantsOf = (clock = createFakeClock()): Grants => createGrants(kv, seal, clock)
const signedIn = {
  person: { sub: 'u', email: 'e@x.com', name: undefined, groups: ['g'] },
  refresh_token: 'r',
}
const hash = (text: string): string => createHash('sha256').update(text).digest('hex')

async function pending(grants: Grants) {
  const begun = await grants.begin('192.0.2.7')
  const grant = await grants.findByUserCode(begun.userCode)
  assert.ok(grant !== null)
  return { ...begun, grant }
}

test('grant: codes have the wire’s form', async () => {
  const { deviceCode, userCode } = await grantsOf().begin('192.0.2.7')
  assert.match(deviceCode, /^[\w-]{43}$/)
  assert.match(userCode, /^[BCDFGHJKMNPQRSTVWXYZ]{4}-[BCDFGHJKMNPQRSTVWXYZ]{4}$/)
})

test('grant: a thousand user codes use exactly the twenty letters, about equally', async () => {
  const grants = grantsOf()
  const codes: string[] = []
  for (let batch = 0; batch < 20; batch++) {
    const begun = await Promise.all(Array.from({ length: 50 }, () => grants.begin('192.0.2.7')))
    codes.push(...begun.map(({ userCode }) => userCode.replace('-', '')))
  }
  const counts = new Map<string, number>()
  for (const letter of codes.join('')) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  assert.equal([...counts.keys()].toSorted().join(''), 'BCDFGHJKMNPQRSTVWXYZ')
  // 400 of each are expected; 100 more or less are five standard deviations.
  for (const [letter, count] of counts)
    assert.ok(Math.abs(count - 400) < 100, `${letter}: ${count}`)
  assert.equal(new Set(codes).size, codes.length)
})

test('grant: the rows of a pending grant are the reference’s, and hold no code in clear', async () => {
  const { deviceCode, userCode } = await grantsOf().begin('192.0.2.7')
  const key = `device:dc:${hash(deviceCode)}`
  const rows = await database.query(
    `SELECT key, value, round(extract(epoch FROM expires_at - now()))::int AS ttl
     FROM kv WHERE key IN ($1, $2) ORDER BY key`,
    [key, `device:uc:${userCode.replace('-', '')}`],
  )
  assert.deepEqual(
    rows.map((row) => row['key']),
    [key, `device:uc:${userCode.replace('-', '')}`],
  )
  assert.equal(rows[1]?.['value'], key)
  const sealed = String(rows[0]?.['value'])
  assert.match(sealed, /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/)
  assert.doesNotMatch(JSON.stringify(rows), new RegExp(deviceCode))
  for (const { ttl } of rows) assert.ok(Math.abs(Number(ttl) - 600) <= 2, String(ttl))
})

test('grant: it is found by what a person types, however they type it', async () => {
  const grants = grantsOf()
  const { userCode } = await grants.begin('192.0.2.7')
  const bare = userCode.replace('-', '')
  for (const typed of [
    userCode,
    userCode.toLowerCase(),
    bare,
    ` ${bare.slice(0, 4)} ${bare.slice(4)} `,
    userCode.replace('-', '–'),
    bare.split('').join(' '),
  ]) {
    assert.equal((await grants.findByUserCode(typed))?.requestedFrom, '192.0.2.7', typed)
  }
})

test('grant: what is no code finds nothing, and asks nothing', async () => {
  const silent = createGrants({ ...kv, get: () => assert.fail('asked') }, seal, createFakeClock())
  for (const typed of ['', 'BCDF', 'AEIOU-123', 'BCDF-GHJKM', '%', '__proto__']) {
    assert.equal(await silent.findByUserCode(typed), null, typed)
  }
})

test('grant: approved, it is given to one poll and then gone', async () => {
  const grants = grantsOf()
  const { deviceCode, userCode, grant } = await pending(grants)
  assert.equal(await grants.approve(grant, signedIn), true)
  assert.equal(await grants.findByUserCode(userCode), null, 'the code is used up')
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'approved', signedIn })
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'expired' })
  const left = await database.query('SELECT key FROM kv WHERE key LIKE $1', [
    `device:_c:%${hash(deviceCode)}%`,
  ])
  assert.deepEqual(left, [])
})

test('grant: denied, it says so once', async () => {
  const grants = grantsOf()
  const { deviceCode, grant } = await pending(grants)
  assert.equal(await grants.deny(grant), true)
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'denied' })
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'expired' })
})

test('grant: while pending a second poll within five seconds is too soon', async () => {
  const grants = grantsOf()
  const { deviceCode, grant } = await pending(grants)
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'pending' })
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'slow-down' })
  const marker = `rl:poll:device:dc:${hash(deviceCode)}`
  const [row] = await database.query(
    'SELECT value, extract(epoch FROM expires_at - now()) AS ttl FROM kv WHERE key = $1',
    [marker],
  )
  assert.equal(row?.['value'], '1')
  assert.ok(Number(row?.['ttl']) <= 5)
  await database.query('UPDATE kv SET expires_at = now() WHERE key = $1', [marker])
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'pending' }, 'the pause is over')
  await grants.approve(grant, signedIn)
  assert.equal((await grants.poll(deviceCode)).kind, 'approved', 'an outcome waits for no pause')
})

test('grant: only the first of approving and denying counts', async () => {
  const grants = grantsOf()
  for (let round = 0; round < 10; round++) {
    const { deviceCode, grant } = await pending(grants)
    const [approved, denied] = await Promise.all([
      grants.approve(grant, signedIn),
      grants.deny(grant),
    ])
    assert.notEqual(approved, denied)
    assert.equal((await grants.poll(deviceCode)).kind, approved ? 'approved' : 'denied')
  }
})

test('grant: of twenty parallel polls on two replicas exactly one gets the token', async () => {
  const [one, other] = [grantsOf(), grantsOf()]
  for (let round = 0; round < 5; round++) {
    const { deviceCode, grant } = await pending(grantsOf())
    await grantsOf().approve(grant, signedIn)
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).poll(deviceCode)),
    )
    const kinds = results.map(({ kind }) => kind)
    assert.equal(kinds.filter((kind) => kind === 'approved').length, 1)
    assert.equal(kinds.filter((kind) => kind === 'expired').length, 19)
  }
})

test('grant: after ten minutes it is over for device and person', async () => {
  const clock = createFakeClock()
  const grants = grantsOf(clock)
  const { deviceCode, userCode, grant } = await pending(grants)
  await clock.advance(599_999)
  assert.notEqual(await grants.find(grant.key), null)
  await clock.advance(1)
  assert.equal(await grants.findByUserCode(userCode), null)
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'expired' })
})

test('grant: an outcome has ten minutes of its own', async () => {
  const grants = grantsOf()
  const { grant } = await pending(grants)
  await database.query(`UPDATE kv SET expires_at = now() + interval '2 s' WHERE key = $1`, [
    grant.key,
  ])
  await grants.approve(grant, signedIn)
  const [row] = await database.query(
    'SELECT extract(epoch FROM expires_at - now()) AS ttl FROM kv WHERE key = $1',
    [grant.key],
  )
  assert.ok(Number(row?.['ttl']) > 590)
})

test('grant: a grant the database has dropped can no longer be approved', async () => {
  const grants = grantsOf()
  const { deviceCode, grant } = await pending(grants)
  await database.query('DELETE FROM kv WHERE key = $1', [grant.key])
  assert.equal(await grants.approve(grant, signedIn), false)
  assert.deepEqual(await grants.poll(deviceCode), { kind: 'expired' })
})

test('grant: a row that was tampered with, or sealed by a removed secret, is no grant', async () => {
  const grants = grantsOf()
  const other = createSeal(
    createSessionKeys(['another-secret-of-more-than-thirty-two']),
    'device grant',
  )
  for (const value of [
    '{"status":"approved"}',
    await other.seal('{"status":"denied"}'),
    await seal.seal('{}'),
  ]) {
    const { deviceCode, userCode, grant } = await pending(grants)
    await database.query('UPDATE kv SET value = $2 WHERE key = $1', [grant.key, value])
    assert.deepEqual(await grants.poll(deviceCode), { kind: 'expired' })
    assert.equal(await grants.findByUserCode(userCode), null)
  }
})

test('grant: an unknown device code is expired', async () => {
  assert.deepEqual(await grantsOf().poll('x'.repeat(43)), { kind: 'expired' })
  assert.deepEqual(await grantsOf().poll(`' OR 1=1 --`), { kind: 'expired' })
})

test('grant: a state may be tried once, on any replica', async () => {
  const tries = await Promise.all(Array.from({ length: 8 }, () => grantsOf().claimState('nonce-1')))
  assert.equal(tries.filter(Boolean).length, 1)
  assert.equal(await grantsOf().claimState('nonce-2'), true)
})

test('grant: taken user codes are never given twice', async () => {
  let claims = 0
  const full = createGrants(
    { ...kv, claim: () => Promise.resolve(++claims > 2) },
    seal,
    createFakeClock(),
  )
  assert.match((await full.begin('192.0.2.7')).userCode, /^.{4}-.{4}$/)
  assert.equal(claims, 3)
  const never = createGrants(
    { ...kv, claim: () => Promise.resolve(false) },
    seal,
    createFakeClock(),
  )
  await assert.rejects(never.begin('192.0.2.7'), /no free user code in 3 tries/)
})

test('grant: an approval stands even when tidying up after it fails', async () => {
  const broken = createGrants(
    { ...kv, delete: () => Promise.reject(new Error('gone')) },
    seal,
    createFakeClock(),
  )
  const { deviceCode, userCode, grant } = await pending(broken)
  assert.equal(await broken.approve(grant, signedIn), true)
  assert.equal(await broken.findByUserCode(userCode), null)
  assert.equal((await broken.poll(deviceCode)).kind, 'approved')
})
