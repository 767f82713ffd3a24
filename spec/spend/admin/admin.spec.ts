import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reply } from '../../../lib/http/exchange.ts'
import { costPath, createAdmin } from '../../../lib/spend/admin/admin.ts'
import {
  adminConfig,
  createTestAdmin,
  readKey,
  seedPeople,
  seedSpend,
  writeKey,
} from '../../support/admin.ts'
import { startServer } from '../../support/database.ts'
import { makeExchange } from '../../support/exchange.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { createRecorder } from '../../support/recorder.ts'
import { openStore } from '../../support/store.ts'

const textOf = ({ body }: Reply): string => (typeof body === 'string' ? body : '')

test('admin: every answer has its id in header, body and log (F261 F262)', async (t) => {
  const { call, recorder } = await createTestAdmin(t)
  const list = await call()
  assert.match(list.headers['request-id'] ?? '', /^req_[0-9a-f]{32}$/)
  assert.equal(list.headers['cache-control'], 'no-store')
  assert.deepEqual(recorder.lines, [
    `info admin GET /v1/organizations/spend_limits -> 200 (${list.headers['request-id']})`,
  ])
  const refused = await call({ path: '?limit=0' })
  assert.equal(refused.headers['cache-control'], undefined)
  assert.equal(
    refused.text,
    `{"type":"error","error":{"type":"invalid_request_error","message":"limit: must be between 1 and 1000"},"request_id":"${refused.headers['request-id']}"}`,
  )
  const created = await call({ body: { scope: { type: 'organization' }, amount: '1' } })
  assert.equal(created.headers['cache-control'], undefined)
  assert.match(created.headers['request-id'] ?? '', /^req_/)
})

test('admin: methods and paths that are no call are not found, in the words of each (F259)', async (t) => {
  const { call } = await createTestAdmin(t)
  const table = [
    ['DELETE', '', 'not found'],
    ['HEAD', '', 'not found'],
    ['OPTIONS', '/x', 'not found'],
    ['PUT', '/x', 'not found'],
    ['PATCH', '/effective', 'not found'],
    ['POST', '/', 'not found'],
    ['POST', '/audit', 'not found'],
    ['POST', costPath, 'not found'],
    ['DELETE', costPath, 'not found'],
    ['GET', '/', 'spend limit not found'],
    ['GET', '/effective/', 'spend limit not found'],
    ['GET', '/spl_x/y', 'spend limit not found'],
    ['GET', '/spl_%00', 'spend limit not found'],
    ['DELETE', '/audit', 'spend limit not found'],
    ['DELETE', '/spl_x', 'spend limit not found'],
  ] as const
  for (const [method, path, message] of table) {
    const answer = await call({ method, path })
    assert.equal(answer.status, 404, `${method} ${path}`)
    assert.deepEqual(answer.body.error, { type: 'not_found_error', message }, `${method} ${path}`)
  }
})

test('admin: a read key reads everything and changes nothing (F263)', async (t) => {
  const { call, database, recorder } = await createTestAdmin(t)
  await call({ body: { scope: { type: 'organization' }, amount: '1' } })
  const cost = `${costPath}?starting_at=2026-11-20T00:00:00Z`
  for (const path of ['', '/effective', '/audit', cost]) {
    assert.equal((await call({ key: readKey, path })).status, 200, path)
  }
  const [{ id } = {}] = await database.query('SELECT id FROM spend_limits')
  for (const change of [{ body: '{bad' }, { method: 'DELETE', path: `/${String(id)}` }]) {
    const answer = await call({ key: readKey, ...change })
    assert.equal(answer.status, 403)
    const { type, message } = answer.body.error
    assert.deepEqual([type, message], ['permission_error', 'requires write:spend_limits'])
  }
  assert.equal(recorder.lastAudit('admin.denied'), undefined)
  assert.equal((await call({ path: `/${String(id)}` })).body.amount, '1')
})

test('admin: hostile text in a parameter is only text', async (t) => {
  const { call, database } = await createTestAdmin(t)
  await seedPeople(database, { 'u-1': ['g'] })
  await seedSpend(database, [['u-1', '2026-11', 1]])
  await call({ body: { scope: { type: 'organization' }, amount: '1' } })
  const hostile = [
    "'; DROP TABLE spend_limits; --",
    "' OR '1'='1",
    '" OR ""="',
    '$1',
    '\\',
    '%',
    '_',
    '*',
    '\u202e\ud83d\ude00',
    '\n',
    '{"p":"u"}',
    '../../etc/passwd',
    'x'.repeat(5000),
  ]
  const names = ['limit', 'after_id', 'before_id', 'scope_type', 'q', 'user_ids[]', 'period[]']
  const more = ['sort', 'page', 'starting_at', 'ending_at', 'group_by[]', 'actor_ids[]', 'order']
  const lists = ['', '/effective', '/audit', `${costPath}?starting_at=2026-11-20T00:00:00Z`]
  for (const value of [...hostile, '\0', 'a\0b']) {
    for (const name of [...names, ...more, 'rbac_group_ids[]', 'order_by', 'time_bucket_width']) {
      for (const path of lists) {
        const pair = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`
        const asked = `${path}${path.includes('?') ? '&' : '?'}${pair}`
        const answer = await call({ path: asked })
        assert.ok([200, 400].includes(answer.status), `${asked}: ${answer.text}`)
        if (name === 'q' && path === '/effective' && !value.includes('\0')) {
          assert.deepEqual(answer.body.data, [], value)
        }
      }
    }
  }
  for (const value of hostile.filter((text) => text.length < 2000)) {
    for (const scope of [
      { type: 'user', user_id: value },
      { type: 'rbac_group', rbac_group_id: value },
    ]) {
      const answer = await call({ body: { scope, amount: '1' } })
      assert.deepEqual(answer.body.scope, scope)
    }
    assert.equal((await call({ path: `/${encodeURIComponent(value)}` })).status, 404)
    assert.equal(
      (await call({ method: 'DELETE', path: `/${encodeURIComponent(value)}` })).status,
      404,
    )
  }
  const [{ count } = {}] = await database.query('SELECT count(*)::int FROM spend_limits')
  assert.equal(count, 1 + 2 * (hostile.length - 1))
})

test('admin: a body beyond its bound is refused in the envelope of this API', async () => {
  const recorder = createRecorder()
  const { GatewayError } = await import('../../../lib/kernel/errors.ts')
  let bound = 0
  const handlers = createAdmin(
    {
      store: {
        query: () => Promise.reject(new Error('not asked')),
        transaction: () => Promise.reject(new Error('not asked')),
        answers: () => Promise.resolve(false),
        connections: () => ({ open: 0, idle: 0, waiting: 0, max: 0 }),
        close: () => Promise.resolve(),
      },
      clock: createFakeClock(),
      log: recorder.log,
      audit: recorder.audit,
      verifySession: () => null,
      capsChanged: () => {},
    },
    adminConfig,
  )
  const exchange = {
    ...makeExchange({
      method: 'POST',
      path: '/v1/organizations/spend_limits',
      headers: { 'x-api-key': writeKey },
    }),
    readBody(bytesMax = Number.POSITIVE_INFINITY) {
      bound = bytesMax
      return Promise.reject(new GatewayError('http/payload-too-large'))
    },
  }
  const reply = await handlers.limits(exchange)
  assert.equal(bound, 64 * 1024)
  assert.equal(reply.status, 413)
  assert.match(textOf(reply), /"message":"payload too large"},"request_id":"req_[0-9a-f]{32}"}$/)
  // What nobody expected is answered too, and only the log says what it was.
  const list = await handlers.limits(
    makeExchange({ path: '/v1/organizations/spend_limits', headers: { 'x-api-key': writeKey } }),
  )
  assert.equal(list.status, 500)
  assert.match(textOf(list), /"api_error","message":"internal server error"},"request_id"/)
  assert.ok(recorder.lines.some((line) => /^error unhandled .*not asked/.test(line)))
})

test('admin: a database that hangs or refuses is 503 within five seconds, and in the envelope (B009 B041)', async (t) => {
  const server = await startServer(t)
  const admin = await createTestAdmin(t, { store: openStore(t, server.url) })
  const calls = [
    {},
    { path: '/effective' },
    { path: '/audit' },
    { path: '/spl_x' },
    { path: `${costPath}?starting_at=2026-11-20T00:00:00Z` },
    { body: { scope: { type: 'organization' }, amount: '1' } },
    { method: 'DELETE', path: '/spl_x' },
  ]
  const check = async (): Promise<void> => {
    const startedAt = performance.now()
    const answers = await Promise.all(calls.map((call) => admin.call(call)))
    assert.ok(performance.now() - startedAt < 5000)
    for (const answer of answers) {
      assert.equal(answer.status, 503)
      assert.equal(answer.headers['retry-after'], '5')
      const { error, request_id } = answer.body
      assert.deepEqual(error, { type: 'api_error', message: 'store unavailable' })
      assert.equal(request_id, answer.headers['request-id'])
    }
  }
  await admin.call() // with a connection at hand
  server.hang()
  await check()
  server.resume()
  await server.stop()
  await check()
})
