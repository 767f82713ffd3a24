import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelStatement } from '../../lib/store/cancel.ts'
import { createDatabase } from '../support/database.ts'

test('store cancel: a running statement ends, its session goes on', async (t) => {
  const database = await createDatabase(t)
  const client = await database.connect()
  const running = assert.rejects(client.query('SELECT pg_sleep(60)'), /canceling statement/)
  const active = () =>
    database.query(`SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'
                    AND datname = current_database()`)
  while ((await active()).length === 0);
  cancelStatement(client)
  await running
  const { rows } = await client.query<{ n: number }>('SELECT 1 AS n')
  assert.deepEqual(rows, [{ n: 1 }])
  await client.end()
})

test('store cancel: a server that is gone is no reason to fail', async (t) => {
  const database = await createDatabase(t)
  const client = await database.connect()
  client.port = 1
  cancelStatement(client)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const { rows } = await client.query<{ n: number }>('SELECT 1 AS n')
  assert.deepEqual(rows, [{ n: 1 }])
  await client.end()
})
