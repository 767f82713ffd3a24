import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isReadOnly, sqlState } from '../../lib/store/failure.ts'
import { createDatabase } from '../support/database.ts'
import { openStore, plenty } from '../support/store.ts'

test('store failure: the server’s code is found behind the store’s error', async (t) => {
  const { url } = await createDatabase(t)
  const failure: unknown = await openStore(t, url)
    .query('SELECT * FROM missing', [], plenty)
    .catch((error: unknown) => error)
  assert.equal(sqlState(failure), '42P01')
  assert.equal(isReadOnly(failure), false)
})

test('store failure: what no server said has no code', async (t) => {
  const { url } = await createDatabase(t)
  const nowhere = new URL(url)
  nowhere.port = '1'
  const failure: unknown = await openStore(t, nowhere.href)
    .query('SELECT 1', [], plenty)
    .catch((error: unknown) => error)
  assert.ok(failure instanceof Error)
  assert.equal(sqlState(failure), undefined)
  assert.equal(sqlState('text'), undefined)
})

test('store failure: a read-only server is told from one that is down', async (t) => {
  const { url } = await createDatabase(t)
  const failure: unknown = await openStore(t, `${url}?default_transaction_read_only=on`)
    .query('CREATE TABLE t (n int)', [], plenty)
    .catch((error: unknown) => error)
  assert.equal(isReadOnly(failure), true)
})
