import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityName, personOf } from '../../lib/telemetry/person.ts'
import { alice } from '../support/ask.ts'

test('telemetry person: the session says who it is, in both clients’ names', () => {
  assert.deepEqual(Object.fromEntries(personOf({ ...alice, groups: ['eng', 'ops'] })), {
    'user.id': 'u-alice',
    'user.email': 'alice@example.com',
    'user.groups': 'eng,ops',
    'enduser.id': 'alice@example.com',
    'enduser.sub': 'u-alice',
  })
  assert.deepEqual(Object.fromEntries(personOf({ ...alice, email: undefined, groups: [] })), {
    'user.id': 'u-alice',
    'user.email': null,
    'user.groups': null,
    'enduser.id': 'u-alice',
    'enduser.sub': 'u-alice',
  })
})

test('telemetry person: a name counts in every spelling that a metric store makes the same', () => {
  for (const name of ['user.id', 'user_id', 'User-Id', 'USER.ID']) {
    assert.equal(identityName(name), 'user.id', name)
  }
  for (const name of ['', 'user', 'userid', 'user.account_uuid', 'session.id', '__proto__']) {
    assert.equal(identityName(name), undefined, name)
  }
})
