import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEffectiveQuery } from '../../../lib/spend/admin/effective.ts'
import { Query } from '../../../lib/spend/admin/query.ts'
import { createTestAdmin, seedPeople, seedSpend, type TestAdmin } from '../../support/admin.ts'
import { createRandom } from '../../support/random.ts'

interface Row {
  readonly scope: { readonly user_id: string }
  readonly groups: readonly string[]
  readonly amount: string | null
  readonly period: string
  readonly source: { readonly type: string; readonly rbac_group_id?: string } | null
  readonly spend_limit_id: string | null
  readonly period_to_date_spend: string
}

interface Cap {
  readonly type: string
  readonly id: string
  readonly period: string
  readonly amount: number | null
}

const periods = ['daily', 'weekly', 'monthly'] as const
const keys = { daily: '2026-11-22', weekly: '2026-W47', monthly: '2026-11' }

/** What the documentation says, in the plainest words. */
function naive(
  caps: readonly Cap[],
  sub: string,
  groups: readonly string[],
  period: string,
  mode: string,
) {
  const inPeriod = caps.filter((cap) => cap.period === period)
  const own = inPeriod.find((cap) => cap.type === 'user' && cap.id === sub)
  if (own !== undefined) return own
  const ofGroups = inPeriod.filter((cap) => cap.type === 'rbac_group' && groups.includes(cap.id))
  const unlimited = ofGroups.find(({ amount }) => amount === null)
  const numbers = ofGroups.flatMap(({ amount }) => (amount === null ? [] : [amount]))
  if (ofGroups.length > 0) {
    if (mode === 'max' && unlimited !== undefined) return unlimited
    if (numbers.length === 0) return unlimited
    const wanted = mode === 'min' ? Math.min(...numbers) : Math.max(...numbers)
    return ofGroups.find(({ amount }) => amount === wanted)
  }
  return inPeriod.find((cap) => cap.type === 'organization')
}

for (const mode of ['min', 'max'] as const) {
  test(`effective: any caps resolve as the naive model says, mode ${mode} (F270 F271 F407)`, async (t) => {
    const admin = await createTestAdmin(t, { config: { group_limit_mode: mode } })
    const random = createRandom()
    const groups = ['g1', 'g2', 'g3', 'g4']
    const people: Record<string, readonly string[]> = {}
    for (let person = 0; person < 30; person++) {
      people[`u${person}`] = groups.filter(() => random.chance(40))
    }
    await seedPeople(admin.database, people)
    await seedSpend(
      admin.database,
      Object.keys(people).flatMap((sub) =>
        periods.map((name) => [sub, keys[name], random.below(1000)] as const),
      ),
    )
    for (let round = 0; round < 4; round++) {
      await admin.database.query('DELETE FROM spend_limits')
      const caps: Cap[] = []
      const candidates = [
        ...Object.keys(people).map((id) => ['user', id, 15] as const),
        ...groups.map((id) => ['rbac_group', id, 60] as const),
        ['organization', '', 50] as const,
      ]
      for (const [type, id, percent] of candidates) {
        for (const period of periods) {
          if (!random.chance(percent)) continue
          // Amounts that never tie, so that the one that wins is known.
          const amount = random.chance(25) ? null : random.below(1e6) * 100 + caps.length
          caps.push({ type, id, period, amount })
        }
      }
      await admin.database.query(
        `INSERT INTO spend_limits (id, scope_type, scope_id, period, amount)
         SELECT 'spl_' || md5(t || i || p), t, i, p, a
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS cap(t, i, p, a)`,
        [
          caps.map(({ type }) => type),
          caps.map(({ id }) => id),
          caps.map(({ period }) => period),
          caps.map(({ amount }) => amount),
        ],
      )
      const { body } = await admin.call({ path: '/effective?limit=1000' })
      const rows: readonly Row[] = body.data
      assert.equal(rows.length, 90)
      for (const row of rows) {
        const sub = row.scope.user_id
        const cap = naive(caps, sub, people[sub] ?? [], row.period, mode)
        const found = [row.source?.type, row.amount]
        const expected = [
          cap?.type,
          cap === undefined || cap.amount === null ? null : String(cap.amount),
        ]
        assert.deepEqual(found, expected, `${sub} ${row.period}, seed ${random.seed}`)
        if (cap?.type === 'rbac_group' && cap.amount !== null) {
          assert.equal(row.source?.rbac_group_id, cap.id)
        }
      }
    }
  })
}

async function seedCrowd({ database }: TestAdmin, count: number): Promise<void> {
  await database.query(
    `INSERT INTO spend (principal, period, cents)
     SELECT 'p' || lpad(i::text, 5, '0'), period, i
     FROM generate_series(1, $1::int) AS i, unnest($2::text[]) AS period`,
    [count, Object.values(keys)],
  )
}

async function readAll(
  admin: TestAdmin,
  query: string,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Row[]> {
  const rows: Row[] = []
  let page = ''
  for (;;) {
    const { body, text } = await admin.call({ path: `/effective?${query}${page}` })
    assert.ok(Array.isArray(body.data), text)
    rows.push(...body.data)
    if (body.next_page === null) return rows
    page = `&page=${body.next_page}`
    await between()
  }
}

test('effective: a list read while people spend has each of them once (F276)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCrowd(admin, 500)
  const random = createRandom()
  const rows = await readAll(admin, 'period[]=monthly&limit=37', () =>
    admin.database.query(
      `UPDATE spend SET cents = cents + 1000 * (1 + $1::int % 3) WHERE principal IN ($2, $3)`,
      [
        random.below(9),
        `p${String(1 + random.below(500)).padStart(5, '0')}`,
        `p${String(1 + random.below(500)).padStart(5, '0')}`,
      ],
    ),
  )
  assert.deepEqual(
    rows.map(({ scope }) => scope.user_id),
    Array.from({ length: 500 }, (_, index) => `p${String(index + 1).padStart(5, '0')}`),
  )
})

test('effective: a list by spend shows nobody twice while people spend (F275 F276)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCrowd(admin, 300)
  let changed = 0
  const rows = await readAll(admin, 'period[]=monthly&sort=spend_desc&limit=23', () =>
    admin.database.query(`UPDATE spend SET cents = cents + 500 WHERE principal = $1`, [
      `p${String(++changed * 7).padStart(5, '0')}`,
    ]),
  )
  const ids = rows.map(({ scope }) => scope.user_id)
  assert.equal(new Set(ids).size, ids.length)
  // Only those who overtook the page that was being read may be missing.
  assert.ok(ids.length >= 300 - changed)
})

test('effective: a quiet list by spend is complete and in order, ties by id', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCrowd(admin, 60)
  await admin.database.query(
    `UPDATE spend SET cents = round(cents / 7) * 0.1 WHERE period = '2026-11'`,
  )
  const rows = await readAll(admin, 'period[]=monthly&sort=spend_desc&limit=7')
  const found = rows.map((row) => [Number(row.period_to_date_spend), row.scope.user_id] as const)
  assert.equal(found.length, 60)
  const sorted = found.toSorted((a, b) => b[0] - a[0] || (a[1] < b[1] ? -1 : 1))
  assert.deepEqual(found, sorted)
})

test('effective: a page token holds for its own query only (F276)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCrowd(admin, 5)
  const first = await admin.call({ path: '/effective?limit=2&q=p&period[]=daily' })
  const token: string = first.body.next_page
  const next = (query: string) => admin.call({ path: `/effective?${query}&page=${token}` })
  assert.equal((await next('limit=2&q=p&period[]=daily')).body.data.length, 2)
  assert.equal((await next('period[]=daily&q=p&limit=1')).body.data.length, 1)
  for (const query of [
    'q=p',
    'period[]=daily',
    'q=p&period[]=weekly',
    'sort=spend_desc&period[]=daily',
  ]) {
    assert.equal((await next(query)).body.error.message, 'page: invalid page token', query)
  }
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const forged of [
    '',
    'x',
    encode(null),
    encode([]),
    encode({}),
    encode({ p: 1 }),
    encode({ p: 'a\0' }),
  ]) {
    const { body } = await admin.call({ path: `/effective?page=${forged}` })
    assert.equal(body.error.message, 'page: invalid page token', forged)
  }
  // One of the reference's, from before a take-over.
  const theirs = await admin.call({
    path: `/effective?period[]=daily&page=${encode({ p: 'p00003' })}`,
  })
  assert.deepEqual(
    theirs.body.data.map((row: Row) => row.scope.user_id),
    ['p00004', 'p00005'],
  )
})

test('effective: people who are named come in the order they are named in, known or not (F272 F274)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedPeople(admin.database, { b: ['g'] })
  await seedSpend(admin.database, [['b', '2026-11', 12_345_678_901.123_457]])
  const { body } = await admin.call({
    path: '/effective?user_ids[]=nobody&user_ids[]=b&limit=1&q=zzz&page=x&period[]=monthly&period[]=daily',
  })
  assert.deepEqual(
    body.data.map((row: Row) => [row.scope.user_id, row.period, row.period_to_date_spend]),
    [
      ['nobody', 'monthly', '0'],
      ['nobody', 'daily', '0'],
      ['b', 'monthly', '12345678901.123'],
      ['b', 'daily', '0'],
    ],
  )
  assert.deepEqual(body.data[0].actor, {
    type: 'user_actor',
    user_id: 'nobody',
    name: null,
    email_address: null,
    deleted: false,
  })
  assert.equal(body.next_page, null)
  const many = Array.from({ length: 101 }, (_, index) => `user_ids[]=u${index}`).join('&')
  const refused = await admin.call({ path: `/effective?${many}` })
  assert.equal(refused.body.error.message, 'user_ids[]: at most 100 entries per request')
})

test('effective: a search finds literal text in id, address and name, in every order (F274)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedPeople(admin.database, { 'u-Alice': [], u_bob: [], silent: [] })
  await seedSpend(admin.database, [
    ['u-Alice', '2026-11', 2],
    ['u_bob', '2026-11', 3],
    ['nameless', '2026-11', 1],
  ])
  const find = async (query: string) =>
    (await admin.call({ path: `/effective?period[]=monthly&${query}` })).body.data.map(
      (row: Row) => row.scope.user_id,
    )
  assert.deepEqual(await find('q=ALICE@example'), ['u-Alice'])
  assert.deepEqual(await find('q=n%20u_b'), ['u_bob'])
  assert.deepEqual(await find('q=_'), ['u_bob'])
  assert.deepEqual(await find('q=nameless'), ['nameless'])
  assert.deepEqual(await find('q=silent'), [], 'nobody without spend')
  assert.deepEqual(await find('sort=spend_desc&q=u'), ['u_bob', 'u-Alice'])
  assert.deepEqual(await find('sort=spend_desc&q='), ['u_bob', 'u-Alice', 'nameless'])
})

test('effective: a group that is a bare text is one, and what is no list is none (F273 F408)', async (t) => {
  const admin = await createTestAdmin(t)
  await admin.database.query(
    `INSERT INTO principal_emails (principal, groups) VALUES ('a', '"eng"'), ('b', NULL), ('c', '{"x":1}')`,
  )
  const { body } = await admin.call({
    path: '/effective?user_ids[]=a&user_ids[]=b&user_ids[]=c&period[]=daily',
  })
  assert.deepEqual(
    body.data.map((row: Row) => row.groups),
    [['eng'], [], []],
  )
})

test('effective: mistakes of a query are named in a fixed order', () => {
  const messages: string[] = []
  for (const query of [
    'limit=x&period[]=x&sort=y&page=z',
    'period[]=x&sort=y&page=z',
    'sort=y&page=z',
    'sort=spend_desc&page=z',
    'sort=',
    'period[]=',
  ]) {
    assert.throws(
      () => readEffectiveQuery(new Query(query)),
      (error: Error) => messages.push(error.message) > 0,
    )
  }
  assert.deepEqual(messages, [
    'limit: must be between 1 and 1000',
    'period[]: must be one of daily, weekly, monthly',
    'sort: must be spend_desc',
    'sort=spend_desc requires exactly one period[]',
    'sort: must be spend_desc',
    'period[]: must be one of daily, weekly, monthly',
  ])
  assert.deepEqual(readEffectiveQuery(new Query('period[]=daily&period[]=daily')).periods, [
    'daily',
  ])
})
