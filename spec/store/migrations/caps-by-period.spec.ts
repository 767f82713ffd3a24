import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { migrate } from '../../../lib/store/migrate.ts'
import { createDatabase } from '../../support/database.ts'
import { createRecorder } from '../../support/recorder.ts'
import { openStore } from '../../support/store.ts'

interface Cap {
  readonly id: string
  readonly scope_type: string
  readonly scope_id: string
  readonly amount: number | null
  readonly period: string
}

/** Answers of the reference's function to made-up caps. */
const recorded: {
  caps: Cap[]
  asks: { principal: string; groups: string[]; mode: string; ids: string[] }[]
}[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/store/caps-by-period.json'), 'utf8'),
)

const database = await createDatabase()
await migrate({ store: openStore({ after }, database.url), log: createRecorder().log })

const session = await database.connect()

async function setCaps(caps: Cap[]): Promise<void> {
  await session.query('DELETE FROM spend_limits')
  await session.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, period)
     SELECT id, scope_type, scope_id, amount, period FROM jsonb_to_recordset($1)
       AS cap (id text, scope_type text, scope_id text, amount bigint, period text)`,
    [JSON.stringify(caps)],
  )
}

async function winners(principal: string, groups: string[], mode: string): Promise<string[]> {
  const { rows } = await session.query<{ id: string }>(
    'SELECT id FROM caps_by_period($1, $2, $3) ORDER BY period',
    [principal, groups, mode],
  )
  return rows.map(({ id }) => id)
}

const cap = (id: string, scope: string, amount: number | null): Cap => {
  const [scope_type = '', scope_id = ''] = scope.split(':')
  return { id, scope_type, scope_id, amount, period: 'monthly' }
}

test('caps by period: a user’s own cap goes before a group’s, that before the organization’s', async () => {
  const caps = [
    cap('o', 'organization:', 1),
    cap('g', 'rbac_group:g1', 2),
    cap('u', 'user:u1', null),
  ]
  await setCaps(caps)
  assert.deepEqual(await winners('u1', ['g1'], 'min'), ['u'])
  assert.deepEqual(await winners('u2', ['g1'], 'min'), ['g'])
  assert.deepEqual(await winners('u2', ['g2'], 'min'), ['o'])
})

test('caps by period: among groups the mode decides, an unlimited cap is the largest', async () => {
  const caps = [
    cap('a', 'rbac_group:g1', 5),
    cap('b', 'rbac_group:g2', 9),
    cap('c', 'rbac_group:g3', null),
  ]
  await setCaps(caps)
  const groups = ['g1', 'g2', 'g3']
  assert.deepEqual(await winners('u', groups, 'min'), ['a'])
  assert.deepEqual(await winners('u', groups, 'max'), ['c'])
  await setCaps(caps.slice(0, 2))
  assert.deepEqual(await winners('u', groups, 'max'), ['b'])
})

test('caps by period: equal caps go by id, and without a cap there is no row', async () => {
  const caps = [cap('z', 'rbac_group:g1', 5), cap('y', 'rbac_group:g2', 5)]
  await setCaps(caps)
  assert.deepEqual(await winners('u', ['g1', 'g2'], 'min'), ['y'])
  assert.deepEqual(await winners('u', [], 'min'), [])
})

test('caps by period: answers as the reference’s function does', async () => {
  let asked = 0
  for (const { caps, asks } of recorded) {
    await setCaps(caps)
    for (const { principal, groups, mode, ids } of asks) {
      assert.deepEqual(
        await winners(principal, groups, mode),
        ids,
        JSON.stringify({ caps, principal, groups, mode }),
      )
      asked++
    }
  }
  assert.ok(asked >= 90)
})
