import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findPrincipals, type Wanted } from '../../../lib/spend/admin/find-principals.ts'
import { createTestAdmin, seedPeople, seedSpend, type TestAdmin } from '../../support/admin.ts'
import { plenty } from '../../support/store.ts'

const everybody: Wanted = { limit: 10, isSorted: false, search: null, from: null }

/** Ids of a page, the one more that says there is another included. */
async function find({ store }: TestAdmin, wanted: Partial<Wanted>): Promise<readonly string[]> {
  const found = await store.transaction(
    (tx) => findPrincipals(tx, { ...everybody, ...wanted }, '2026-11'),
    plenty,
  )
  return found.map(({ principal }) => principal)
}

test('find principals: one more than fits, by id or by spend, from a position on', async (t) => {
  const admin = await createTestAdmin(t)
  await seedPeople(admin.database, { a: [], b: [], c: [], idle: [] })
  await seedSpend(admin.database, [
    ['a', '2026-11', 1],
    ['b', '2026-10', 9],
    ['c', '2026-11', 2],
  ])
  assert.deepEqual(await find(admin, {}), ['a', 'b', 'c'])
  assert.deepEqual(await find(admin, { limit: 1 }), ['a', 'b'])
  assert.deepEqual(await find(admin, { from: { principal: 'a', cents: null } }), ['b', 'c'])
  assert.deepEqual(await find(admin, { isSorted: true }), ['c', 'a'])
  assert.deepEqual(await find(admin, { isSorted: true, from: { principal: 'c', cents: 2 } }), ['a'])
  assert.deepEqual(await find(admin, { search: 'N B' }), ['b'])
})
