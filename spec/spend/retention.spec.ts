import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRetention } from '../../lib/spend/retention.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { ownMigrations } from '../../lib/store/migrations/own.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

const config = {
  audit_retention_days: 365,
  spend_retention_months: 13,
  identity_retention_days: 90,
}
const now = Date.parse('2026-11-27T12:00:00Z')

test('retention: what is older than the windows goes, at the next hour and by one replica (F301)', async (t) => {
  const database = await createDatabase(t)
  const store = openStore(t, database.url)
  await migrate({ store, log: createRecorder().log, own: ownMigrations })
  const spend = (period: string, at: string) =>
    database.query(
      `INSERT INTO spend (principal, period, cents, updated_at) VALUES ('u', $1, 1, $2)`,
      [period, at],
    )
  await spend('2025-10', '2025-10-31')
  await spend('2025-10-31', '2025-10-31')
  await spend('2025-W43', '2025-10-26')
  await spend('2025-11', '2025-11-01')
  await spend('2025-11-01', '2025-11-01')
  await spend('2025-W48', '2025-11-28')
  await database.query(`INSERT INTO pooled_spend VALUES ('g', '2025-10', 1), ('g', '2025-11', 1)`)
  await database.query(`INSERT INTO admin_audit (at, actor, action, target)
    VALUES ('2025-11-26', 'a', 'b', 'c'), ('2025-11-28', 'a', 'b', 'c')`)
  await database.query(`INSERT INTO principal_emails (principal, updated_at)
    VALUES ('old', '2026-08-28'), ('new', '2026-08-30')`)
  await database.query(`INSERT INTO principal_groups VALUES
    ('2024-01-01', 'u', '[]'), ('2026-08-28', 'u', '[]'), ('2026-08-29', 'u', '[]')`)
  await database.query(`INSERT INTO gateway_spend_batch VALUES
    (gen_random_uuid(), '2026-11-20'), (gen_random_uuid(), '2026-11-27 11:00Z')`)
  const clock = createFakeClock(now)
  const { log, lines } = createRecorder()
  const other = await database.connect()
  await other.query('BEGIN; SELECT pg_advisory_xact_lock(6775157)')
  const retention = createRetention({ store, clock, log }, config)
  await retention.run()
  const count = async (): Promise<unknown> =>
    (await database.query('SELECT count(*)::int AS n FROM spend'))[0]?.['n']
  assert.equal(await count(), 6)
  await other.query('COMMIT')
  await retention.run()
  const left = await database.query('SELECT period FROM spend ORDER BY period')
  assert.deepEqual(
    left.map(({ period }) => period),
    ['2025-11', '2025-11-01', '2025-W48'],
  )
  for (const [table, rows] of [
    ['pooled_spend', 1],
    ['admin_audit', 1],
    ['principal_emails', 1],
    ['principal_groups', 1],
    ['gateway_spend_batch', 1],
  ] as const) {
    const [found] = await database.query(`SELECT count(*)::int AS n FROM ${table}`)
    assert.equal(found?.['n'], rows, table)
  }
  assert.match(
    lines.join('\n'),
    /info retention: removed 3 of spend, 1 of pooled_spend, 1 of admin_audit/,
  )
  retention.use({ ...config, spend_retention_months: 1 })
  await retention.run()
  assert.equal(await count(), 0)
  retention.stop()
})

test('retention: a database that refuses is said, and tried again', async () => {
  const { log, lines } = createRecorder()
  const store = {
    query: () => Promise.reject(new Error('away')),
    transaction: () => Promise.reject(new Error('away')),
    answers: () => Promise.resolve(false),
    close: () => Promise.resolve(),
  }
  const retention = createRetention({ store, clock: createFakeClock(now), log }, config)
  await retention.run()
  retention.stop()
  assert.match(lines.join(), /^warn retention: nothing was removed, next try in an hour: .*away/)
})
