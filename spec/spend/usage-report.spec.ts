import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { createUsageReport } from '../../lib/spend/usage-report.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { seedSpend } from '../support/admin.ts'
import { createDatabase } from '../support/database.ts'
import { makeExchange } from '../support/exchange.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const alice: Caller = { sub: 'alice', email: 'a@x', name: undefined, groups: ['eng'], expiresAt: 0 }

async function setUp(t: TestContext) {
  const database = await createDatabase(t)
  await migrate({ store: openStore(t, database.url), log: createRecorder().log })
  const proxy = await startTcpProxy(t, {
    host: '127.0.0.1',
    port: Number(new URL(database.url).port),
  })
  const clock = createFakeClock(Date.parse('2026-11-25T12:00:00Z'))
  const store = openStore(t, proxy.through(database.url))
  const report = createUsageReport({ store, clock }, { group_limit_mode: 'min' })
  const ask = async (caller = alice) => {
    const { status, headers, body } = await report(makeExchange(), caller)
    const text = typeof body === 'string' ? body : ''
    return { status, text, header: (name: string) => new Map(headers).get(name) }
  }
  const spend = (cents: number, sub = 'alice') =>
    seedSpend(
      database,
      (['2026-11-25', '2026-W48', '2026-11'] as const).map((key) => [sub, key, cents]),
    )
  const used = async (caller = alice): Promise<unknown> => {
    const { status, text } = await ask(caller)
    assert.equal(status, 200)
    return JSON.parse(text).extra_usage.used_credits
  }
  return { database, proxy, clock, ask, spend, used }
}

test('usage report: what was read is good for 1.5 seconds, for that person with those groups (F295)', async (t) => {
  const { clock, spend, used } = await setUp(t)
  await spend(7)
  assert.equal(await used(), 7)
  await spend(9)
  await clock.advance(1499)
  assert.equal(await used(), 7)
  // Other groups are other caps, and somebody else is somebody else.
  assert.equal(await used({ ...alice, groups: [] }), 9)
  assert.equal(await used({ ...alice, sub: 'bob' }), 0)
  await clock.advance(1)
  assert.equal(await used(), 9)
})

test('usage report: without a database it is 503 with a time to come back, and not remembered', async (t) => {
  const { proxy, ask, spend, used } = await setUp(t)
  await spend(7)
  await proxy.refuse()
  const refused = await ask()
  assert.deepEqual([refused.status, refused.text], [503, 'spend limit unavailable'])
  assert.equal(refused.header('retry-after'), '5')
  await proxy.forward()
  assert.equal(await used(), 7)
})

test('usage report: a database that hangs holds it for 1.5 seconds; what was read before is given at once', async (t) => {
  const { proxy, ask, spend, used } = await setUp(t)
  await spend(7)
  assert.equal(await used(), 7)
  proxy.hang()
  assert.equal(await used(), 7)
  const begun = performance.now()
  const hung = await ask({ ...alice, sub: 'bob' })
  const tookMs = performance.now() - begun
  await proxy.forward()
  assert.deepEqual([hung.status, hung.text], [503, 'spend limit unavailable'])
  // The rest is this machine's.
  assert.ok(tookMs > 1400 && tookMs < 4000, `${tookMs} ms`)
})

test('usage report: a cap is described, rounded so that only a spent one is full (F295)', async (t) => {
  const { database, ask, spend } = await setUp(t)
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
     VALUES ('a', 'user', 'alice', 1000, 'daily'), ('b', 'rbac_group', 'eng', 4000, 'monthly')`,
  )
  await spend(999.7)
  const { extra_usage, limits } = JSON.parse((await ask()).text)
  assert.deepEqual(extra_usage, {
    is_enabled: true,
    monthly_limit: 1000,
    used_credits: 999,
    utilization: 99,
    currency: 'USD',
  })
  const row = { kind: 'spend', is_active: false }
  assert.deepEqual(limits, [
    {
      ...row,
      group: 'daily',
      percent: 99,
      resets_at: '2026-11-26T00:00:00.000Z',
      severity: 'critical',
      is_active: true,
    },
    {
      ...row,
      group: 'monthly',
      percent: 25,
      resets_at: '2026-12-01T00:00:00.000Z',
      severity: 'normal',
    },
  ])
})
