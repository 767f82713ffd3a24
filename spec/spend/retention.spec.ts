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
  let people = 0
  const kept = [
    ['2025-10', '2025-10-28'],
    ['2025-10-27', '2025-10-27 23:00Z'],
    ['2025-W44', '2025-11-02'],
    ['2026-11', '2026-11-27'],
  ] as const
  const spend = (principal: string, period: string, at: string) =>
    database.query(
      `INSERT INTO spend (principal, period, cents, updated_at) VALUES ($1, $2, 1, $3)`,
      [principal, period, at],
    )
  for (const [period, at] of [
    ...['2025-09', '2025-10', '2025-W43', '2025-10-26'].map((old) => [old, '2025-10-26'] as const),
    ['2025-09', '2026-11-27'],
    ['2025-W43', '2026-11-27'],
    ['2025-10-26', '2026-11-27'],
  ] as const) {
    await spend(`old-${people++}`, period, at)
  }
  // Changed within thirteen months, or of a period that reaches into them.
  for (const [period, at] of kept) await spend('kept', period, at)
  await database.query(`INSERT INTO pooled_spend VALUES ('g', '2025-09', 1), ('g', '2025-11', 1)`)
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
  assert.equal(await count(), people + kept.length)
  await other.query('COMMIT')
  await retention.run()
  const left = await database.query('SELECT period FROM spend ORDER BY period COLLATE "C"')
  assert.deepEqual(
    left.map(({ period }) => period),
    kept.map(([period]) => period).toSorted(),
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
    /info retention: removed 7 of spend, 1 of pooled_spend, 1 of admin_audit/,
  )
  retention.use({ ...config, spend_retention_months: 1 })
  await retention.run()
  assert.equal(await count(), 1)
  retention.stop()
})

test('retention: a database that refuses is said, and tried again', async () => {
  const { log, lines } = createRecorder()
  const store = {
    query: () => Promise.reject(new Error('away')),
    transaction: () => Promise.reject(new Error('away')),
    answers: () => Promise.resolve(false),
    close: () => Promise.resolve(),
    connections: () => ({ open: 0, idle: 0, waiting: 0, max: 0 }),
  }
  const retention = createRetention({ store, clock: createFakeClock(now), log }, config)
  await retention.run()
  retention.stop()
  assert.match(lines.join(), /^warn retention: nothing was removed, next try in an hour: .*away/)
})
