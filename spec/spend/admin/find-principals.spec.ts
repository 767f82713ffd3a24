import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findPrincipals, type Wanted } from '../../../lib/spend/admin/find-principals.ts'
import { createTestAdmin, seedPeople, seedSpend, type TestAdmin } from '../../support/admin.ts'
import { createRandom, type Random } from '../../support/random.ts'
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

/** Texts that meet one another in the middle, with every kind of character a search may hold. */
const parts = ['al', 'Al', 'ice', 'Bo', 'b', '_', '%', '\\', 'Ä', 'ß', 'ΑΣ', 'Σα', '王伟', ' ', '.']

/** Some have spend but no name, some a name but no spend, some spend only in another month. */
async function seedCrowd({ store }: TestAdmin, random: Random, count: number): Promise<void> {
  const text = (): string =>
    Array.from({ length: 1 + random.below(4) }, () => parts[random.below(parts.length)]).join('')
  const spend = 'INSERT INTO spend (principal, period, cents) VALUES ($1, $2, $3)'
  const name = 'INSERT INTO principal_emails (principal, email, name) VALUES ($1, $2, $3)'
  await store.transaction(async (tx) => {
    for (let index = 0; index < count; index++) {
      const id = `${text()}-${index}`
      const month = random.chance(80) ? '2026-11' : '2026-10'
      const email = random.chance(80) ? `${text()}@example.com` : null
      const statements = [
        [spend, [id, month, random.below(20)]],
        [name, [id, email, random.chance(80) ? text() : null]],
      ] as const
      const order = random.chance(50) ? statements : statements.toReversed()
      for (const [sql, values] of order) if (random.chance(80)) await tx.query(sql, values)
    }
  }, plenty)
}

test('find principals: the table for searches finds what a walk over everybody finds', async (t) => {
  const admin = await createTestAdmin(t)
  const random = createRandom()
  await seedCrowd(admin, random, 120)
  const searches = [
    ...parts,
    'alice',
    'B',
    'e.c',
    'al\nb',
    '\n',
    '-1',
    '@example.com',
    'ΑΣ'.toLowerCase(),
  ]
  const questions = searches.flatMap((search) =>
    [false, true].flatMap((isSorted): Partial<Wanted>[] => [
      { search, isSorted, limit: 3 },
      { search, isSorted, limit: 1000 },
      { search, isSorted, limit: 5, from: { principal: 'Bob', cents: isSorted ? 9 : null } },
    ]),
  )
  const ask = async (): Promise<unknown[]> => {
    const answers: unknown[] = []
    for (const question of questions) answers.push([question, await find(admin, question)])
    return answers
  }
  const indexed = await ask()
  assert.ok(JSON.stringify(indexed).length > 10_000, 'the searches found people')
  await admin.database.query('DROP TABLE gateway_person')
  assert.deepEqual(indexed, await ask(), `seed ${random.seed}`)
})

test('find principals: a search by spend that finds thousands answers like one that finds few', async (t) => {
  const admin = await createTestAdmin(t)
  await admin.database.query(
    `INSERT INTO spend (principal, period, cents)
     SELECT 'p' || lpad(i::text, 5, '0'), '2026-11', i % 7 FROM generate_series(1, 3000) AS i`,
  )
  const searches = ['p', 'p01', '7', 'nobody'].map((search) => ({ search, isSorted: true }))
  const ask = () => Promise.all(searches.map((wanted) => find(admin, wanted)))
  const indexed = await ask()
  assert.deepEqual(
    indexed.map(({ length }) => length),
    [11, 11, 11, 0],
  )
  await admin.database.query('DROP TABLE gateway_person')
  assert.deepEqual(indexed, await ask())
})
