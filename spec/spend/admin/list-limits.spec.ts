import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listAudit, listLimits } from '../../../lib/spend/admin/list-limits.ts'
import { Query } from '../../../lib/spend/admin/query.ts'
import { createTestAdmin, type TestAdmin } from '../../support/admin.ts'
import { createRandom } from '../../support/random.ts'

interface Page {
  readonly data: readonly { readonly id: string; readonly scope: { readonly user_id: string } }[]
  readonly has_more: boolean
  readonly first_id: string | null
  readonly last_id: string | null
}

async function seedCaps({ database }: TestAdmin, count: number): Promise<void> {
  await database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount, created_at)
     SELECT 'spl_' || md5(i::text), 'user', 'u-' || i, i,
            timestamptz '2026-01-01' + make_interval(secs => i / 3)
     FROM generate_series(1, $1::int) AS i`,
    [count],
  )
}

test('list-limits: ten thousand caps are each listed once while caps change (F255 F257)', async (t) => {
  const admin = await createTestAdmin(t)
  const count = 10_000
  await seedCaps(admin, count)
  const random = createRandom()
  const doomed = new Set<string>()
  const seen: Page['data'][number][] = []
  let after = ''
  for (;;) {
    const answer = await admin.call({ path: `?limit=700${after}` })
    const page: Page = answer.body
    seen.push(...page.data)
    if (!page.has_more) break
    after = `&after_id=${page.last_id}`
    // Between two pages some caps are replaced, some made and some deleted.
    for (let change = 0; change < 5; change++) {
      const number = 1 + random.below(count)
      const scope = { type: 'user', user_id: `u-${number}` }
      await admin.call({ body: { scope, amount: '1' } })
      await admin.call({
        body: { scope: { ...scope, user_id: `new-${change}-${seen.length}` }, amount: '1' },
      })
      const [{ id, scope_id } = {}] = await admin.database.query(
        'SELECT id, scope_id FROM spend_limits WHERE scope_id = $1 AND id <> $2',
        [`u-${1 + random.below(count)}`, page.last_id],
      )
      if (typeof id !== 'string' || typeof scope_id !== 'string') continue
      await admin.call({ method: 'DELETE', path: `/${id}` })
      doomed.add(scope_id)
    }
  }
  assert.equal(
    new Set(seen.map(({ id }) => id)).size,
    seen.length,
    `none twice, seed ${random.seed}`,
  )
  const lasting = Array.from({ length: count }, (_, index) => `u-${index + 1}`).filter(
    (id) => !doomed.has(id),
  )
  const found = new Set(seen.map(({ scope }) => scope.user_id))
  assert.deepEqual(
    lasting.filter((id) => !found.has(id)),
    [],
    `and none left out, seed ${random.seed}`,
  )
})

test('list-limits: pages backwards are the same pages (F256 F257)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCaps(admin, 95)
  const forward: string[][] = []
  let query = '?limit=10'
  for (let more = true; more;) {
    const page: Page = (await admin.call({ path: query })).body
    forward.push(page.data.map(({ id }) => id))
    assert.equal(page.first_id, page.data[0]?.id)
    assert.equal(page.last_id, page.data.at(-1)?.id)
    query = `?limit=10&after_id=${page.last_id}`
    more = page.has_more
  }
  assert.deepEqual(
    forward.map(({ length }) => length),
    [...Array.from({ length: 9 }, () => 10), 5],
  )
  for (let at = forward.length - 1; at > 0; at--) {
    const before = forward[at]?.[0]
    const page: Page = (await admin.call({ path: `?limit=10&before_id=${before}` })).body
    assert.deepEqual(
      page.data.map(({ id }) => id),
      forward[at - 1],
    )
    assert.equal(page.has_more, at > 1)
  }
})

test('list-limits: a page that ends with the list says so exactly', async (t) => {
  const admin = await createTestAdmin(t)
  await seedCaps(admin, 4)
  for (const [limit, more] of [
    [3, true],
    [4, false],
    [5, false],
  ] as const) {
    const query = new Query(`?limit=${limit}`)
    const page = await listLimits(admin.store, query, '2026-11')
    assert.deepEqual('has_more' in page && page.has_more, more)
  }
})

test('list-limits: the shared budget is listed with what its group spent this month', async (t) => {
  const { call, database } = await createTestAdmin(t)
  const scope = { type: 'rbac_group', rbac_group_id: 'g' }
  await call({ body: { scope, amount: '10', pooled_budget: { amount: '50' } } })
  await database.query(`INSERT INTO pooled_spend (rbac_group_id, period, cents)
    VALUES ('g', '2026-11', 12.3456), ('g', '2026-10', 99), ('h', '2026-11', 99)`)
  const { body } = await call()
  assert.deepEqual(body.data[0].pooled_budget, {
    amount: '50',
    paused: false,
    currency: 'USD',
    period_to_date_spend: '12.346',
  })
  const again = await call({ body: { scope, amount: '11' } })
  assert.equal(again.body.pooled_budget.period_to_date_spend, '12.346')
})

test('list-limits: the audit goes from new to old without a gap (F267)', async (t) => {
  const { call, store } = await createTestAdmin(t)
  for (let amount = 0; amount < 12; amount++) {
    await call({ body: { scope: { type: 'organization' }, amount: String(amount) } })
  }
  const amounts: string[] = []
  let after = ''
  for (let more = true; more;) {
    const { body } = await call({ path: `/audit?limit=5${after}` })
    amounts.push(...body.data.map((event: { after: { amount: string } }) => event.after.amount))
    after = `&after_id=${body.data.at(-1).id}`
    more = body.has_more
  }
  assert.deepEqual(
    amounts,
    Array.from({ length: 12 }, (_, index) => String(11 - index)),
  )
  const none = await listAudit(store, new Query('?after_id=0'))
  assert.deepEqual(none, { data: [], has_more: false })
  for (const id of ['', '-1', 'x', '1.5', '9'.repeat(24)]) {
    const { body } = await call({ path: `/audit?after_id=${id}` })
    assert.equal(body.error.message, 'after_id: must be an audit event id')
  }
})
