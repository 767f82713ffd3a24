/**
 * A database as the reference left it, with caps, spend, a shared budget and its audit, goes on
 * under this gateway; and what this gateway adds stands where the reference never looks.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { periodsAt } from '../../lib/spend/period.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { writeKey } from '../support/admin.ts'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRecorder } from '../support/recorder.ts'
import { sessionToken } from '../support/session-token.ts'
import { openStore } from '../support/store.ts'

const rowsText = readFileSync(
  join(import.meta.dirname, '../fixtures/store/reference-rows.json'),
  'utf8',
)
const { daily, weekly, monthly } = periodsAt(Date.now())
/** The day, week and month of the recording become those of now, in rows that count them. */
const rows: Readonly<Record<string, readonly object[]>> = JSON.parse(
  rowsText
    .replaceAll('"2026-11-27"', `"${daily.key}"`)
    .replaceAll('"2026-W48"', `"${weekly.key}"`)
    .replaceAll('"2026-11"', `"${monthly.key}"`)
    .replaceAll(/"(at|updated_at)":"2026-[^"]*"/g, `"$1":"${new Date().toISOString()}"`),
)

const database = await createDatabase()
await migrate({ store: openStore({ after }, database.url), log: createRecorder().log })
for (const [table, list] of Object.entries(rows)) {
  await database.query(
    `INSERT INTO ${table} OVERRIDING SYSTEM VALUE
     SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`,
    [JSON.stringify(list)],
  )
}
await database.query(
  `SELECT setval(pg_get_serial_sequence('admin_audit', 'id'), (SELECT max(id) FROM admin_audit))`,
)
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
// 1.05 cents, as each call of the recording cost.
const usage = { input_tokens: 1000, output_tokens: 500 }
upstream.always({ body: JSON.stringify({ type: 'message', content: [], usage }) })
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: { admin: { write_keys: [{ id: 'tf', key: writeKey }] } },
  },
)

async function ask(path: string, body?: object) {
  const reply = await send(`${gateway.url}/v1/organizations/${path}`, {
    headers: { 'x-api-key': writeKey },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  assert.equal(reply.status, 200, reply.body)
  return JSON.parse(reply.body)
}

async function call(sub: string, ...groups: string[]): Promise<number> {
  const body = '{"model":"claude-sonnet-4-6","max_tokens":10,"messages":[]}'
  const token = sessionToken(gateway.url, { sub, groups })
  return (await send(`${gateway.url}/v1/messages`, { token, body })).status
}

test('takeover: caps, spend, shared budgets and the audit are there as they were (F358)', async () => {
  const list = await ask('spend_limits')
  assert.deepEqual(
    list.data.map((limit: Record<string, unknown>) => [
      limit['scope'],
      limit['amount'],
      limit['period'],
    ]),
    [
      [{ type: 'organization' }, '50000', 'monthly'],
      [{ type: 'user', user_id: 'u-bob' }, '3', 'daily'],
      [{ type: 'user', user_id: 'u-carol' }, null, 'monthly'],
      [{ type: 'rbac_group', rbac_group_id: 'eng' }, '10000', 'monthly'],
    ],
  )
  assert.deepEqual(list.data[3].pooled_budget, {
    amount: '5',
    paused: false,
    currency: 'USD',
    period_to_date_spend: '2.1',
  })
  const effective = await ask('spend_limits/effective?period[]=monthly')
  assert.deepEqual(
    effective.data.map((row: Record<string, { user_id?: string }>) => [
      row['scope']?.user_id,
      row['groups'],
      row['amount'],
      row['period_to_date_spend'],
    ]),
    [
      ['u-bob', [], '50000', '3.15'],
      ['u-carol', ['eng'], null, '1.05'],
      ['u-dave', ['eng'], '10000', '1.05'],
      ['u-erin', ['other'], '50000', '1.05'],
    ],
  )
  const audit = await ask('spend_limits/audit')
  assert.deepEqual(
    audit.data.map(({ id, action }: Record<string, string>) => `${id} ${action}`),
    ['6 spend_limit.delete', ...['5', '4', '3', '2', '1'].map((id) => `${id} spend_limit.upsert`)],
  )
  const cost = await ask(
    `analytics/cost?starting_at=${daily.key}T00:00:00Z&group_by[]=rbac_group_id`,
  )
  assert.deepEqual(
    cost.data.map((row: { group: { rbac_group_id: string }; cost: { amount: string } }) => [
      row.group.rbac_group_id,
      row.cost.amount,
    ]),
    [
      [null, '3.150000'],
      ['eng', '2.100000'],
      ['other', '1.050000'],
    ],
  )
})

test('takeover: what was spent before counts, and goes on in the same rows (F358)', async () => {
  assert.equal(await call('u-bob'), 429, 'their cap of 3 cents was spent before')
  assert.equal(await call('u-carol', 'eng'), 200)
  assert.equal(await call('u-erin', 'other'), 200)
  const spentBy = async (sub: string): Promise<unknown[]> =>
    (
      await database.query('SELECT cents FROM spend WHERE principal = $1 AND cents > 1.06', [sub])
    ).map(({ cents }) => Math.round(Number(cents) * 100))
  for (let tries = 0; (await spentBy('u-erin')).length < 3 && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.deepEqual(await spentBy('u-erin'), [210, 210, 210])
  // 2.1 cents from before, 1.05 from above: of the group's five there is room for two more calls.
  const answers: number[] = []
  for (let calls = 0; calls < 6; calls++) answers.push(await call('u-dave', 'eng'))
  assert.deepEqual(answers.slice(0, 2), [200, 200])
  assert.equal(answers.at(-1), 429)
})

test('takeover: the audit goes on counting, and nothing the reference knows is altered (F358)', async () => {
  await ask('spend_limits', { scope: { type: 'user', user_id: 'u-bob' }, amount: '4' })
  const { data } = await ask('spend_limits/audit?limit=1')
  assert.equal(data[0].id, '7')
  const versions = await database.query('SELECT version FROM _migrations ORDER BY version')
  assert.deepEqual(
    versions.map(({ version }) => version),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  const tables = await database.query(
    `SELECT relname::text AS name FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
       AND relname NOT LIKE 'gateway\\_%' ORDER BY 1`,
  )
  assert.deepEqual(
    tables.map(({ name }) => name),
    [...Object.keys(rows), '_migrations', 'kv'].toSorted(),
  )
})
