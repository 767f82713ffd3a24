import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCredentials } from '../../../lib/spend/admin/credentials.ts'
import { makeExchange } from '../../support/exchange.ts'

const write = 'w'.repeat(32)
const read = 'r'.repeat(32)
const credentials = createCredentials(
  {
    write_keys: [{ id: 'tf', key: write }],
    read_keys: [{ id: 'ro', key: read }],
    admin_groups: ['admins'],
  },
  ({ headers: { authorization } }) =>
    Promise.resolve(
      authorization?.startsWith('Bearer good') === true
        ? {
            sub: 'u',
            email: undefined,
            name: undefined,
            groups: authorization.endsWith('admin') ? ['admins'] : ['eng'],
            expiresAt: 0,
          }
        : null,
    ),
)
const of = (headers: Record<string, string>) => credentials(makeExchange({ headers }))

test('credentials: a key says whose it is and whether it may write', async () => {
  assert.deepEqual(await of({ 'x-api-key': ` ${write} ` }), {
    kind: 'actor',
    actor: { name: 'admin-key:tf', mayWrite: true },
  })
  assert.deepEqual(await of({ 'x-api-key': read }), {
    kind: 'actor',
    actor: { name: 'admin-key:ro', mayWrite: false },
  })
})

test('credentials: a wrong key loses beside a good session, an empty one is none', async () => {
  const wrong = { 'x-api-key': 'x', authorization: 'Bearer good admin' }
  assert.deepEqual(await of(wrong), { kind: 'denied', reason: 'invalid_key' })
  assert.deepEqual(await of({ 'x-api-key': '', authorization: 'Bearer good admin' }), {
    kind: 'actor',
    actor: { name: 'oidc:u', mayWrite: true },
  })
})

test('credentials: a key is compared as a whole', async () => {
  for (const key of [write.slice(1), `${write}w`, write.toUpperCase()]) {
    assert.deepEqual(await of({ 'x-api-key': key }), { kind: 'denied', reason: 'invalid_key' })
  }
})

test('credentials: a session needs one of the groups', async () => {
  assert.deepEqual(await of({}), { kind: 'denied', reason: 'no_credentials' })
  const rejected = { kind: 'denied', reason: 'bearer_rejected' }
  assert.deepEqual(await of({ authorization: 'Bearer good' }), rejected)
  assert.deepEqual(await of({ authorization: 'Bearer bad' }), rejected)
})
