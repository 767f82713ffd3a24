import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthorise } from '../../../lib/spend/admin/authorise.ts'
import { adminConfig, createTestAdmin, readKey, writeKey } from '../../support/admin.ts'
import { makeExchange } from '../../support/exchange.ts'

const admins = {
  sub: 'u-adm',
  email: undefined,
  name: undefined,
  groups: ['x', 'admins'],
  expiresAt: 0,
}
const withSession = createAuthorise(adminConfig, () => admins)
const withoutSession = createAuthorise(adminConfig, () => null)
const bearer = { authorization: 'Bearer t' }
const granted = (actor: string, canWrite: boolean) => ({ kind: 'granted', actor, canWrite })
const denied = (reason: string) => ({ kind: 'denied', reason })
const ask = (headers: Record<string, string>, authorise = withSession) =>
  authorise(makeExchange({ headers }))

test('authorise: write and read keys are told apart, and name the actor (F263 F266)', async () => {
  assert.deepEqual(await ask({ 'x-api-key': writeKey }), granted('admin-key:tf', true))
  assert.deepEqual(await ask({ 'x-api-key': readKey }), granted('admin-key:ro', false))
  assert.deepEqual(await ask({ 'x-api-key': `\t${writeKey}  ` }), granted('admin-key:tf', true))
})

test('authorise: a key that is sent decides alone, whatever the bearer (F406)', async () => {
  const wrong = { 'x-api-key': 'z'.repeat(36), ...bearer }
  assert.deepEqual(await ask(wrong), denied('invalid_key'))
  const right = { 'x-api-key': writeKey, ...bearer }
  assert.deepEqual(await ask(right, withoutSession), granted('admin-key:tf', true))
})

test('authorise: an empty key counts as none', async () => {
  assert.deepEqual(await ask({ 'x-api-key': '' }), denied('no_credentials'))
  assert.deepEqual(await ask({ 'x-api-key': '   ', ...bearer }), granted('oidc:u-adm', true))
})

test('authorise: nothing near a key opens (B042)', async () => {
  const near = [
    writeKey.slice(1),
    `${writeKey}w`,
    writeKey.toUpperCase(),
    `${writeKey}, ${writeKey}`,
    'tf',
    `Bearer ${writeKey}`,
  ]
  for (const key of near) assert.deepEqual(await ask({ 'x-api-key': key }), denied('invalid_key'))
  const asBearer = { authorization: `Bearer ${writeKey}` }
  assert.deepEqual(await ask(asBearer, withoutSession), denied('bearer_rejected'))
})

test('authorise: a session opens only with a group of admin_groups, spelled the same (F264)', async () => {
  assert.deepEqual(await ask(bearer), granted('oidc:u-adm', true))
  for (const groups of [[], ['eng'], ['Admins'], ['admins2']]) {
    const authorise = createAuthorise(adminConfig, () => Promise.resolve({ ...admins, groups }))
    assert.deepEqual(await ask(bearer, authorise), denied('bearer_rejected'))
  }
  const nobody = createAuthorise({ ...adminConfig, admin_groups: [] }, () => admins)
  assert.deepEqual(await ask(bearer, nobody), denied('bearer_rejected'))
})

test('authorise: a denied call is answered alike and audited with its reason (F265)', async (t) => {
  const admin = await createTestAdmin(t)
  const session = { sub: 'u-1', groups: ['eng'] }
  for (const [call, reason] of [
    [{ key: null }, 'no_credentials'],
    [{ key: 'z'.repeat(36) }, 'invalid_key'],
    [{ key: null, session }, 'bearer_rejected'],
    [{ key: null, session: null }, 'bearer_rejected'],
  ] as const) {
    const answer = await admin.call({ ...call, path: '/effective?q=x' })
    assert.equal(answer.status, 401)
    assert.equal(answer.body.error.type, 'authentication_error')
    assert.equal(answer.body.error.message, 'missing or invalid admin credentials')
    assert.equal(
      admin.recorder.lastAudit('admin.denied'),
      `{"reason":"${reason}","method":"GET","path":"/v1/organizations/spend_limits/effective","client_ip":"192.0.2.1"}`,
    )
  }
})
