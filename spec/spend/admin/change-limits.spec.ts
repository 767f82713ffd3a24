import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminStoreTimeoutMs } from '../../../lib/spend/admin/change-limits.ts'
import { createTestAdmin } from '../../support/admin.ts'

const user = (id: string) => ({ type: 'user', user_id: id })
const group = { type: 'rbac_group', rbac_group_id: 'g' }

test('change-limits: a replaced cap keeps its id and its time of creation (F251)', async (t) => {
  const { call, database } = await createTestAdmin(t)
  const first = await call({ body: { scope: user('a'), amount: '1' } })
  const second = await call({ body: { scope: user('a'), amount: '9007199254740993' } })
  assert.equal(second.body.id, first.body.id)
  assert.equal(second.body.created_at, first.body.created_at)
  assert.ok(second.body.updated_at > first.body.updated_at)
  assert.equal(second.body.amount, '9007199254740993')
  const rows = await database.query('SELECT amount::text, created_by FROM spend_limits')
  assert.deepEqual(rows, [{ amount: '9007199254740993', created_by: 'admin-key:tf' }])
})

test('change-limits: every change is audited with what was and what is (F266 F268 F269)', async (t) => {
  const { call, recorder, revisions } = await createTestAdmin(t)
  const session = { sub: 'u-adm', groups: ['admins'] }
  const created = await call({ body: { scope: group, amount: '5' } })
  await call({ body: { scope: group, amount: null }, key: null, session })
  const removed = await call({ method: 'DELETE', path: `/${created.body.id}` })
  assert.deepEqual(removed.body, { type: 'spend_limit_deleted', id: created.body.id })
  const audit = await call({ path: '/audit' })
  assert.deepEqual(
    audit.body.data.map(
      ({ actor, action, before, after }: Record<string, { amount: string } | null>) => [
        actor,
        action,
        before?.amount,
        after?.amount,
      ],
    ),
    [
      ['admin-key:tf', 'spend_limit.delete', null, undefined],
      ['oidc:u-adm', 'spend_limit.upsert', '5', null],
      ['admin-key:tf', 'spend_limit.upsert', undefined, '5'],
    ],
  )
  const target = created.body.id
  assert.equal(
    recorder.lastAudit('admin.limit.upsert'),
    `{"actor":"oidc:u-adm","target":"${target}","scope_type":"rbac_group","scope_id":"g","period":"monthly","before_amount":"5","amount":null,"before_pooled_budget":null,"pooled_budget":null}`,
  )
  assert.equal(
    recorder.lastAudit('admin.limit.delete'),
    `{"actor":"admin-key:tf","target":"${target}","scope_type":"rbac_group","scope_id":"g","period":"monthly"}`,
  )
  assert.deepEqual(revisions, [2n, 3n, 4n], 'and this replica hears of each')
})

test('change-limits: without its audit row no change happens (F268)', async (t) => {
  const { call, database, revisions, recorder } = await createTestAdmin(t)
  const kept = await call({ body: { scope: user('kept'), amount: '1' } })
  await database.query(
    `ALTER TABLE admin_audit ADD CONSTRAINT nothing_more CHECK (false) NOT VALID`,
  )
  const calls = [
    { body: { scope: user('new'), amount: '1' } },
    { body: { scope: user('kept'), amount: '2' } },
    { method: 'DELETE', path: `/${kept.body.id}` },
  ]
  for (const refused of calls) assert.equal((await call(refused)).status, 503)
  const rows = await database.query('SELECT scope_id, amount::text FROM spend_limits')
  assert.deepEqual(rows, [{ scope_id: 'kept', amount: '1' }])
  const [revision] = await database.query('SELECT revision::text FROM gateway_spend_revision')
  assert.deepEqual(revision, { revision: '2' })
  assert.deepEqual(revisions, [2n])
  assert.equal(recorder.audits.filter(({ event }) => event === 'admin.limit.upsert').length, 1)
})

test('change-limits: what is not said of a shared budget stays as it was (F402)', async (t) => {
  const { call } = await createTestAdmin(t)
  const steps: readonly (readonly [object, string | null | undefined, unknown])[] = [
    [{ pooled_budget: { amount: '50' } }, undefined, 'new'],
    [{ pooled_budget: { amount: '50', paused: true } }, '100', ['50', true]],
    [{ pooled_budget: { amount: '60' } }, '100', ['60', true]],
    [{}, null, ['60', true]],
    [{ pooled_budget: {} }, '100', ['60', true]],
    [{ pooled_budget: { paused: null } }, undefined, ['60', true]],
    [{ pooled_budget: { paused: false } }, '100', ['60', false]],
    [{}, null, 'member'],
    [{ pooled_budget: { paused: true } }, null, ['60', true]],
    [{ pooled_budget: { paused: false } }, null, 'member'],
    [{ pooled_budget: { paused: false } }, undefined, 'member'],
    [{ pooled_budget: { amount: '0', paused: false } }, '100', ['0', false]],
    [{ pooled_budget: { amount: null, paused: true } }, '100', null],
    [{ pooled_budget: { paused: false } }, '100', 'amount'],
    [{ pooled_budget: { paused: true } }, '100', null],
    [{ pooled_budget: { amount: '999999999999999999' } }, '100', ['999999999999999999', false]],
    [{ pooled_budget: null }, '100', ['999999999999999999', false]],
    [{ pooled_budget: { amount: null } }, '100', 'amount'],
    [{ pooled_budget: { amount: null, paused: true } }, '100', null],
  ]
  const words: Readonly<Record<string, RegExp>> = {
    member: /^A pooled budget that isn't paused needs amount \(each member's own limit\)/,
    new: /^This spend limit doesn't exist yet, so it needs amount \(each member's own limit\)/,
    amount: /^A pooled budget that isn't paused needs an amount\. Set pooled_budget\.amount/,
  }
  for (const [index, [extra, amount, expected]] of steps.entries()) {
    const answer = await call({ body: { scope: group, amount, ...extra } })
    if (typeof expected === 'string') {
      assert.equal(answer.status, 400, `step ${index}`)
      assert.match(answer.body.error.message, words[expected] ?? /$^/)
    } else {
      const pool = answer.body.pooled_budget
      assert.deepEqual(pool && [pool.amount, pool.paused], expected, `step ${index}`)
    }
  }
})

test('change-limits: changes of one cap at the same moment take turns', async (t) => {
  const { call, database } = await createTestAdmin(t)
  const amounts = Array.from({ length: 40 }, (_, index) => String(index))
  const answers = await Promise.all(
    amounts.map((amount) => call({ body: { scope: user('a'), amount } })),
  )
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  const rows = await database.query(
    `SELECT before->>'amount' AS before, after->>'amount' AS after FROM admin_audit ORDER BY id`,
  )
  assert.equal(rows.length, amounts.length)
  // Each replaced what the one before it had made.
  for (const [index, { before }] of rows.entries()) {
    assert.equal(before, index === 0 ? null : rows[index - 1]?.['after'])
  }
})

test('change-limits: a call waits no longer for the database than an admin call may take', () => {
  assert.ok(adminStoreTimeoutMs < 5000)
})
