import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeForgotten, forget } from '../../lib/spend/forget.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { createDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

test('forget: who somebody is goes, what they spent stays, and nobody else is touched', async (t) => {
  const database = await createDatabase(t)
  const store = openStore(t, database.url)
  await migrate({ store, log: createRecorder().log })
  for (const sub of ['u-1', 'u-2']) {
    await database.query(`INSERT INTO principal_emails (principal, email) VALUES ($1, 'a@b')`, [
      sub,
    ])
    await database.query(
      `INSERT INTO principal_groups VALUES ('2026-11-26', $1, '["g"]'), ('2026-11-27', $1, '["g"]')`,
      [sub],
    )
    await database.query(`INSERT INTO spend (principal, period, cents) VALUES ($1, '2026-11', 5)`, [
      sub,
    ])
  }
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('spl_1', 'user', 'u-1', 5)`,
  )
  const forgotten = await forget('u-1', store)
  assert.deepEqual(forgotten, {
    removed: { principal_emails: 1, principal_groups: 2 },
    kept: { spend: 1, spend_limits: 1, admin_audit: 0 },
  })
  assert.match(describeForgotten('u-1', forgotten), /removed from principal_groups .*: 2 rows\n/)
  const left = await database.query('SELECT principal FROM principal_emails')
  assert.deepEqual(left, [{ principal: 'u-2' }])
  assert.deepEqual((await forget('nobody', store)).removed, {
    principal_emails: 0,
    principal_groups: 0,
  })
})
