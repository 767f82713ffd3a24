import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  limitAudit,
  limitObject,
  type LimitRow,
  limitSnapshot,
} from '../../../lib/spend/admin/spend-limit.ts'

const at = new Date('2026-11-22T10:28:27.792Z')
const organization: LimitRow = {
  id: 'spl_1',
  scope_type: 'organization',
  scope_id: '',
  amount: '9007199254740993',
  period: 'monthly',
  created_at: at,
  updated_at: at,
  pool_amount: null,
  pool_enabled: false,
  pool_cents: 0,
}
const group: LimitRow = { ...organization, scope_type: 'rbac_group', scope_id: 'g', amount: null }
const pooled: LimitRow = {
  ...group,
  pool_amount: '5000',
  pool_enabled: true,
  pool_cents: 1.0499999,
}

test('spend-limit: the wire form has the keys of its kind, in their order', () => {
  const moments = '"created_at":"2026-11-22T10:28:27.792Z","updated_at":"2026-11-22T10:28:27.792Z"'
  assert.equal(
    JSON.stringify(limitObject(organization)),
    `{"type":"spend_limit","id":"spl_1",${moments},"scope":{"type":"organization"},"amount":"9007199254740993","currency":"USD","period":"monthly"}`,
  )
  assert.match(JSON.stringify(limitObject(group)), /"period":"monthly","pooled_budget":null}$/)
  assert.match(
    JSON.stringify(limitObject(pooled)),
    /"pooled_budget":{"amount":"5000","paused":false,"currency":"USD","period_to_date_spend":"1.05"}}$/,
  )
  assert.ok(!('pooled_budget' in limitObject({ ...group, period: 'daily' })))
  assert.equal(
    JSON.stringify(limitSnapshot(pooled)),
    `{"id":"spl_1","scope":{"type":"rbac_group","rbac_group_id":"g"},"amount":null,"period":"monthly","currency":"USD",${moments},"pooled_budget":{"amount":"5000","paused":false}}`,
  )
})

test('spend-limit: the audit line tells of what was before only where there was something', () => {
  const created = JSON.stringify(limitAudit(null, pooled))
  assert.match(created, /"amount":null,"pooled_budget":{"amount":"5000","paused":false}}$/)
  assert.ok(!created.includes('before'))
  const replaced = JSON.stringify(limitAudit(pooled, group))
  assert.match(
    replaced,
    /"before_amount":null,"amount":null,"before_pooled_budget":{"amount":"5000","paused":false},"pooled_budget":null}$/,
  )
  assert.ok(!JSON.stringify(limitAudit(organization, organization)).includes('pooled'))
})
