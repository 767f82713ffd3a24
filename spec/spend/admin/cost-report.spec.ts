import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AdminError } from '../../../lib/spend/admin/answer.ts'
import { readCostReport } from '../../../lib/spend/admin/cost-report.ts'
import { readQuery } from '../../../lib/spend/admin/query.ts'
import { migrate } from '../../../lib/store/migrate.ts'
import type { Store } from '../../../lib/store/store.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { createRecorder } from '../../support/recorder.ts'
import { openStore } from '../../support/store.ts'

interface Recorded {
  readonly name: string
  readonly path: string
  readonly status: number
  readonly reply: string
}

const recorded: readonly Recorded[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/admin/analytics.json'), 'utf8'),
)
/** When the reference was asked. */
const now = Date.parse('2026-11-22T10:40:51.000Z')

const database = await createDatabase()
const store = await open(database)

async function open(at: TestDatabase): Promise<Store> {
  const made = openStore(
    { after: (action) => void process.once('beforeExit', () => void action()) },
    at.url,
  )
  await migrate({ store: made, log: createRecorder().log })
  return made
}

const spend = (principal: string, day: string, cents: number) =>
  database.query('INSERT INTO spend (principal, period, cents) VALUES ($1, $2, $3)', [
    principal,
    day,
    cents,
  ])
const groups = (principal: string, day: string, names: unknown) =>
  database.query('INSERT INTO principal_groups (day, principal, groups) VALUES ($1, $2, $3)', [
    day,
    principal,
    JSON.stringify(names),
  ])

/** Our answer to a recorded question, without the moment it was given. */
async function ask(path: string, at = now): Promise<{ status: number; body: unknown }> {
  try {
    const value = await readCostReport(readQuery(path.split('?')[1] ?? ''), store, at)
    const body: unknown = JSON.parse(JSON.stringify(value))
    return { status: 200, body }
  } catch (error) {
    assert.ok(error instanceof AdminError, String(error))
    return { status: 400, body: error.message }
  }
}

function plain(value: unknown): unknown {
  const text = JSON.stringify(value).replace(
    /"data_refreshed_at":"[^"]+"/,
    '"data_refreshed_at":""',
  )
  // The hash in a cursor is each program's own.
  return JSON.parse(text.replace(/"next_page":"[^"]+"/, '"next_page":"more"'))
}

async function replay(exchanges: readonly Recorded[]): Promise<void> {
  for (const { path, status, reply } of exchanges) {
    if (path.includes('page=ey')) continue
    const theirs: { error?: { message: string } } = JSON.parse(reply)
    const ours = await ask(path)
    assert.equal(ours.status, status, `${path}: ${JSON.stringify(ours.body)}`)
    if (status === 200) assert.deepEqual(plain(ours.body), plain(theirs), path)
    else assert.equal(ours.body, theirs.error?.message, path)
  }
}

test('cost report: answers as the reference does, from the first day on (F405)', async () => {
  for (const [sub, day, cents] of [
    ['u1', '2026-11-22', 250],
    ['u2', '2026-11-22', 1.05],
    ['u3', '2026-11-22', 1.05],
    ['u4', '2026-11-22', 1.05],
  ] as const) {
    await database.query(
      'INSERT INTO principal_emails (principal, email, name) VALUES ($1, $2, $3)',
      [sub, `${sub}@example.com`, `N ${sub}`],
    )
    await spend(sub, day, cents)
  }
  await groups('u1', '2026-11-22', ['g1', 'pb1'])
  await groups('u2', '2026-11-22', ['g1', 'g2'])
  await groups('u3', '2026-11-22', [])
  await groups('u4', '2026-11-22', ['pb1'])
  await replay(recorded.filter(({ name }) => !name.startsWith('cost2')))
})

test('cost report: answers as the reference does, with days, groups of that day and people without a name (F405)', async () => {
  await spend('u1', '2026-11-20', 123.456)
  await spend('u2', '2026-11-20', 50)
  await spend('u2', '2026-11-21', 7.5)
  await spend('gone', '2026-11-21', 3)
  await groups('u1', '2026-11-20', ['g1'])
  await replay(recorded.filter(({ name }) => name.startsWith('cost2')))
})

test('cost report: a closed range is read in pages, in one order, without a gap', async () => {
  const range = 'starting_at=2026-11-19T00:00:00Z&ending_at=2026-11-22T00:00:00Z'
  const later = Date.parse('2026-11-23T10:00:00Z')
  for (const rest of [
    'group_by[]=actor',
    'group_by[]=actor&order=asc',
    'group_by[]=actor&time_bucket_width=1d&order_by=time',
    'group_by[]=actor&group_by[]=rbac_group_id&time_bucket_width=1d',
  ]) {
    const whole = await page(`?${range}&${rest}`, later)
    assert.equal(whole.next, null)
    const rows: unknown[] = []
    let next: string | null = ''
    while (next !== null) {
      const from: string = next === '' ? '' : `&page=${next}`
      const one = await page(`?${range}&${rest}&limit=1${from}`, later)
      assert.equal(one.rows.length, 1)
      rows.push(...one.rows)
      next = one.next
    }
    assert.deepEqual(rows, whole.rows, rest)
  }
})

async function page(path: string, at: number): Promise<{ rows: unknown[]; next: string | null }> {
  const { status, body } = await ask(path, at)
  assert.equal(status, 200, JSON.stringify(body))
  const text = JSON.stringify(body)
  const { data, next_page }: { data: unknown[]; next_page: string | null } = JSON.parse(text)
  return { rows: data, next: next_page }
}

test('cost report: a cursor is good for its own question and for days that are over', async () => {
  const open = '?starting_at=2026-11-19T00:00:00Z&ending_at=2026-11-23T00:00:00Z&group_by[]=actor'
  const { next } = await page(`${open}&limit=2`, now)
  assert.ok(next !== null)
  assert.match(
    String((await ask(`${open}&limit=3&page=${next}`)).body),
    /includes today \(UTC\).*2026-11-22T00:00:00Z or earlier/,
  )
  const other = open.replace('group_by[]=actor', 'group_by[]=rbac_group_id')
  assert.match(
    String((await ask(`${other}&page=${next}`)).body),
    /^page: invalid page token, one from/,
  )
  for (const forged of [
    '',
    '%00',
    'e30',
    Buffer.from('{"c":"1;","p":"","g":"","d":"","q":""}').toString('base64url'),
  ]) {
    assert.match(String((await ask(`${open}&page=${forged}`)).body), /^page: invalid page token/)
  }
})

test('cost report: groups that are a bare string are one group', async () => {
  await spend('odd', '2026-11-18', 4)
  await groups('odd', '2026-11-18', 'solo')
  const { body } = await ask(
    '?starting_at=2026-11-18T00:00:00Z&ending_at=2026-11-19T00:00:00Z&group_by[]=rbac_group_id',
  )
  assert.match(JSON.stringify(body), /"rbac_group_id":"solo".*"amount":"4\.000000"/)
})
