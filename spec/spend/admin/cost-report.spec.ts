import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../lib/kernel/errors.ts'
import { readCostQuery } from '../../../lib/spend/admin/cost-query.ts'
import { reportCost } from '../../../lib/spend/admin/cost-report.ts'
import { Query } from '../../../lib/spend/admin/query.ts'
import { createTestAdmin, seedSpend, type TestAdmin } from '../../support/admin.ts'
import { createRandom } from '../../support/random.ts'

const now = '2026-11-27T20:00:00Z'
const range = 'starting_at=2026-11-20T00:00:00Z&ending_at=2026-11-22T00:00:00Z'

interface Report {
  readonly data: readonly {
    readonly starting_at: string
    readonly group: {
      readonly actor: { readonly user_id: string } | null
      readonly rbac_group_id: string | null
    }
    readonly cost: { readonly amount: string }
  }[]
  readonly has_more: boolean
  readonly next_page: string | null
}

type Line = readonly (string | null)[]

async function ask({ store }: TestAdmin, query: string, at = now): Promise<Report> {
  const report = await reportCost(store, new Query(query), Date.parse(at))
  return JSON.parse(JSON.stringify(report))
}

const linesOf = ({ data }: Report): Line[] =>
  data.map(({ starting_at, group, cost }) => [
    starting_at.slice(8, 10),
    group.actor?.user_id ?? null,
    group.rbac_group_id,
    cost.amount,
  ])

async function record({ database }: TestAdmin, day: string, principal: string, groups: unknown) {
  await database.query(
    'INSERT INTO principal_groups (day, principal, groups) VALUES ($1, $2, $3)',
    [day, principal, JSON.stringify(groups)],
  )
}

function refusal(query: string, at = now): string {
  try {
    readCostQuery(new Query(query), Date.parse(at))
  } catch (error) {
    assert.ok(error instanceof GatewayError && error.code === 'admin/invalid')
    return error.message
  }
  return 'accepted'
}

test('cost-report: somebody in several groups counts in full in each, and in none by the null row (F405)', async (t) => {
  const admin = await createTestAdmin(t)
  await seedSpend(admin.database, [
    ['a1', '2026-11-20', 10],
    ['a1', '2026-11-21', 10],
    ['a2', '2026-11-20', 10],
    ['a2', '2026-11-21', 1.234_567_89],
    ['a3', '2026-11-21', 0],
    ['a3', '2026-11', 500],
    ['a3', '2026-W47', 500],
  ])
  await record(admin, '2026-11-20', 'a1', ['x', 'y', 'x'])
  await record(admin, '2026-11-21', 'a1', ['x', 'y'])
  const rows = async (query: string) => linesOf(await ask(admin, `${range}&${query}`))
  assert.deepEqual(await rows(''), [['20', null, null, '31.234568']])
  assert.deepEqual(await rows('group_by[]=rbac_group_id'), [
    ['20', null, 'x', '20.000000'],
    ['20', null, 'y', '20.000000'],
    ['20', null, null, '11.234568'],
  ])
  assert.deepEqual(await rows('group_by[]=rbac_group_id&group_by[]=actor&order=asc'), [
    ['20', 'a3', null, '0.000000'],
    ['20', 'a2', null, '11.234568'],
    ['20', 'a1', 'x', '20.000000'],
    ['20', 'a1', 'y', '20.000000'],
  ])
  assert.deepEqual(await rows('rbac_group_ids[]=x&rbac_group_ids[]=y'), [
    ['20', null, null, '20.000000'],
  ])
  assert.deepEqual(await rows('rbac_group_ids[]=x&group_by[]=rbac_group_id'), [
    ['20', null, 'x', '20.000000'],
  ])
  assert.deepEqual(
    await rows('group_by[]=actor&order_by=time&time_bucket_width=1d&actor_ids[]=a2'),
    [
      ['21', 'a2', null, '1.234568'],
      ['20', 'a2', null, '10.000000'],
    ],
  )
  assert.deepEqual(await rows('actor_ids[]='), [])
})

test('cost-report: without a record of the day the last groups before count, else the first after', async (t) => {
  const admin = await createTestAdmin(t)
  for (const sub of ['before', 'after', 'both', 'same', 'none']) {
    await seedSpend(admin.database, [[sub, '2026-11-20', 1]])
  }
  await record(admin, '2026-11-10', 'before', ['old'])
  await record(admin, '2026-11-19', 'before', ['newer'])
  await record(admin, '2026-11-25', 'after', ['first'])
  await record(admin, '2026-11-26', 'after', ['later'])
  await record(admin, '2026-11-01', 'both', ['old'])
  await record(admin, '2026-11-21', 'both', ['first'])
  await record(admin, '2026-11-20', 'same', 'bare')
  await record(admin, '2026-11-19', 'same', ['newer'])
  const report = await ask(admin, `${range}&group_by[]=actor&group_by[]=rbac_group_id`)
  assert.deepEqual(
    linesOf(report).map(([, actor, group]) => [actor, group]),
    [
      ['after', 'first'],
      ['before', 'newer'],
      ['both', 'old'],
      ['none', null],
      ['same', 'bare'],
    ],
  )
})

test('cost-report: pages of a range that is over are the report, whatever the order (F405)', async (t) => {
  const admin = await createTestAdmin(t)
  const random = createRandom()
  const rows: [string, string, number][] = []
  for (let person = 0; person < 25; person++) {
    for (const day of ['2026-11-20', '2026-11-21']) {
      rows.push([`u${person}`, day, random.below(8) / 3])
    }
    const groups = ['g1', 'g2', 'g3'].filter(() => random.chance(50))
    await record(admin, '2026-11-20', `u${person}`, groups)
  }
  await seedSpend(admin.database, rows)
  for (const by of ['actor', 'rbac_group_id', 'rbac_group_id&group_by[]=actor']) {
    for (const width of ['', '&time_bucket_width=1d']) {
      for (const order of ['', '&order=asc', '&order_by=time', '&order_by=time&order=asc']) {
        const query = `${range}&group_by[]=${by}${width}${order}`
        const whole = linesOf(await ask(admin, `${query}&limit=1000`))
        const paged: Line[] = []
        let page = ''
        for (let more = true; more;) {
          const report = await ask(admin, `${query}&limit=7${page}`)
          paged.push(...linesOf(report))
          more = report.has_more
          assert.equal(report.next_page === null, !more)
          page = `&page=${report.next_page}`
        }
        assert.deepEqual(paged, whole, `${query}, seed ${random.seed}`)
      }
    }
  }
})

test('cost-report: a range whose last day may still grow is not read in pages', async (t) => {
  const admin = await createTestAdmin(t)
  await seedSpend(admin.database, [
    ['a', '2026-11-26', 2],
    ['b', '2026-11-26', 1],
  ])
  const query = 'starting_at=2026-11-26T00:00:00Z&group_by[]=actor&limit=1'
  const openToday = async (): Promise<string> => {
    await seedSpend(admin.database, [
      ['a', '2026-11-27', 2],
      ['b', '2026-11-27', 1],
    ])
    const today = 'starting_at=2026-11-27T00:00:00Z&limit=1'
    const report = await ask(admin, `${today}&group_by[]=actor`)
    return String(report.next_page)
  }
  const closed = `${query}&ending_at=2026-11-27T00:00:00Z`
  const { next_page: open } = await ask(admin, query)
  assert.match(
    refusal(`${query}&page=${open}`),
    /^page: a range that includes today \(UTC\).*Start again with ending_at at 2026-11-27T00:00:00Z or earlier/,
  )
  assert.match(
    refusal(`starting_at=2026-11-27T00:00:00Z&group_by[]=actor&page=${await openToday()}`),
    /^page: .*could be skipped or repeated\. Read the range in one page/,
  )
  const { next_page: early } = await ask(admin, closed, '2026-11-27T00:04:59Z')
  assert.match(
    refusal(`${closed}&page=${early}`, '2026-11-27T00:04:59Z'),
    /repeated\. Read the range/,
  )
  // Made before the day was over, so that its amounts may have been others.
  assert.match(refusal(`${closed}&page=${early}`), /^page: invalid page token, one from a request/)
  const { next_page: late } = await ask(admin, closed, '2026-11-27T00:05:00Z')
  assert.deepEqual(linesOf(await ask(admin, `${closed}&page=${late}`)), [
    ['26', 'b', null, '1.000000'],
  ])
  for (const other of ['&order=desc', '&actor_types[]=user_actor']) {
    assert.match(refusal(`${closed}${other}&page=${late}`), /^page: invalid page token/)
  }
})

test('cost-query: mistakes are named in a fixed order', () => {
  const faults = [
    ['foo=1', /^foo: not a parameter of the gateway's cost report, which takes starting_at, /],
    ['time_bucket_width=x', /^time_bucket_width: must be 1d; the gateway records spend per/],
    ['group_by[]=t', /^group_by\[\]: must be actor or rbac_group_id; /],
    ['actor_types[]=u', /^actor_types\[\]: must be user_actor, the only kind/],
    ['limit=0', /^limit: must be between 1 and 1000$/],
    ['order=z', /^order: must be asc or desc$/],
    ['order_by=k', /^order_by: must be amount, list_amount or time$/],
    ['exclude_deleted_users=h', /^exclude_deleted_users: must be true or false$/],
    ['page=k', /^page: invalid page token, one from a request with other parameters/],
  ] as const
  for (const [index, [, message]] of faults.entries()) {
    const query = faults.slice(index).map(([fault]) => fault)
    assert.match(refusal([range, ...query].join('&')), message)
  }
  assert.equal(refusal(''), 'starting_at: required')
  assert.equal(
    refusal(`${range}&exclude_deleted_users=true&page=x`),
    'exclude_deleted_users: requires group_by[]=actor',
  )
  for (const list of ['actor_ids[]', 'rbac_group_ids[]']) {
    const many = Array.from({ length: 101 }, () => `${list}=u`).join('&')
    assert.equal(refusal(`${range}&${many}&limit=0`), `${list}: at most 100 entries per request`)
  }
})

test('cost-query: times are of RFC 3339 and count from their UTC midnight', () => {
  const rangeOf = (query: string): string => {
    const { startsAt, endsAt } = readCostQuery(new Query(query), Date.parse(now))
    return `${new Date(startsAt).toISOString().slice(0, 10)}..${new Date(endsAt).toISOString().slice(0, 10)}`
  }
  assert.equal(rangeOf('starting_at=2026-11-20T10:00:00%2B11:00'), '2026-11-19..2026-11-28')
  assert.equal(rangeOf('starting_at=2026-11-20t00:00:00.123456789z'), '2026-11-20..2026-11-28')
  assert.equal(rangeOf('starting_at=2026-01-01T00:00:00Z'), '2026-01-01..2026-02-01')
  // Thirty-one days back from now, and a little less: days that were begun count whole.
  assert.equal(rangeOf('starting_at=2026-10-27T19:59:00Z'), '2026-10-27..2026-11-27')
  assert.equal(rangeOf('starting_at=2026-10-27T20:01:00Z'), '2026-10-27..2026-11-28')
  assert.equal(
    rangeOf('starting_at=2026-10-22T12:00:00Z&ending_at=2026-11-22T12:00:00Z'),
    '2026-10-22..2026-11-22',
  )
  assert.equal(
    rangeOf('starting_at=2026-11-20T00:00:00Z&ending_at=2026-11-20T23:00:00Z'),
    '2026-11-20..2026-11-20',
  )
  for (const text of [
    '',
    'x',
    '2026-11-20',
    '2026-11-20T00:00Z',
    '2026-11-20T00:00:00',
    '2026-13-01T00:00:00Z',
    '2026-11-20T00:00:60Z',
    '2026-11-20T00:00:00%2B0530',
    '1',
  ]) {
    assert.match(refusal(`starting_at=${text}`), /^starting_at: must be an RFC 3339 timestamp/)
    assert.match(
      refusal(`starting_at=2026-11-20T00:00:00Z&ending_at=${text}`),
      /^ending_at: must be an RFC 3339 timestamp/,
    )
  }
  const before = 'starting_at: must be before ending_at, which defaults to now'
  assert.equal(refusal('starting_at=2026-11-28T00:00:00Z'), before)
  assert.equal(refusal('starting_at=2026-11-27T20:00:01Z&group_by[]=x'), before)
  assert.equal(refusal(`starting_at=2026-11-20T12:00:00Z&ending_at=2026-11-20T12:00:00Z`), before)
  assert.equal(
    refusal('starting_at=2026-11-28T00:00:00Z&time_bucket_width=1d'),
    'ending_at: required when time_bucket_width is set',
  )
  assert.equal(
    refusal('starting_at=2026-10-22T23:00:00Z&ending_at=2026-11-22T23:00:01Z'),
    'ending_at: the range may span at most 31 days',
  )
})
