import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { announceCapChange } from '../../lib/spend/revision.ts'
import { createSpend } from '../../lib/spend/spend.ts'
import { openDatabase } from '../../lib/store/database.ts'
import { createDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore, plenty } from '../support/store.ts'

const caller: Caller = { sub: 'u', email: undefined, name: undefined, groups: [], expiresAt: 0 }

const admin = {
  write_keys: [],
  read_keys: [],
  admin_groups: [],
  audit_retention_days: 1,
  spend_retention_months: 1,
  identity_retention_days: 1,
  group_limit_mode: 'min',
} as const

test('spend: caps that another replica changed are known by the hint, and by the poll without it', async (t) => {
  const created = await createDatabase(t)
  const { url } = created
  for (const max_connections of [5, 1]) {
    await created.query('DELETE FROM spend_limits').catch(() => []) // the first round has no tables yet
    const { log, audit } = createRecorder()
    const database = openDatabase(
      {
        postgres_url: url,
        max_connections,
        connect_timeout_seconds: 5,
        readiness_grace_seconds: 0,
      },
      { clock: systemClock, log, countsSpend: true },
    )
    await database.start(new AbortController().signal)
    const spend = createSpend({ ...database, clock: systemClock, log, audit }, admin)
    spend.start()
    database.hints.start()
    const gate = spend.gate({ admin, fail_closed_on_error: false, reserve: false })
    assert.equal((await gate.admit(caller, 'r')).kind, 'admitted')
    const elsewhere = openStore(t, url)
    await elsewhere.transaction(async (tx) => {
      await tx.query(
        `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ('a', 'user', 'u', 0)`,
      )
      await announceCapChange(tx)
    }, plenty)
    const begun = performance.now()
    while ((await gate.admit(caller, 'r')).kind === 'admitted') {
      assert.ok(performance.now() - begun < 5000, 'the change was never heard of')
      await sleep(5)
    }
    assert.equal(await spend.drain(1000), 0)
    spend.close()
    await database.close()
  }
})
