import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthenticate } from '../../lib/identity/authenticate.ts'
import { createSessionKeys } from '../../lib/identity/session-key.ts'
import { createSessions } from '../../lib/identity/session.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { makeExchange } from '../support/exchange.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'

const jwt_secret = ['a-secret-of-more-than-thirty-two-characters']

interface Setup {
  readonly authenticate: (exchange: Exchange) => Promise<Caller> | Caller
  readonly header: string
  readonly audits: [string, object][]
}

async function setUp(clock: FakeClock = createFakeClock()): Promise<Setup> {
  const sessions = createSessions(
    { jwt_secret, ttl_hours: 1 },
    createSessionKeys(jwt_secret),
    clock,
  )
  const audits: [string, object][] = []
  const authenticate = createAuthenticate(sessions, (event, fields) => audits.push([event, fields]))
  const { token } = await sessions.mint({ sub: 'u-1', email: 'a@example.com', groups: ['eng'] })
  return { authenticate, header: `Bearer ${token}`, audits }
}

const ask = (headers: Record<string, string>): Exchange =>
  makeExchange({ path: '/v1/messages', query: '?beta=true', headers })

test('authenticate: a valid bearer is the caller, and leaves no audit line', async () => {
  const { authenticate, header, audits } = await setUp()
  const caller = await authenticate(ask({ authorization: header }))
  assert.equal(caller.sub, 'u-1')
  assert.deepEqual(caller.groups, ['eng'])
  assert.deepEqual(audits, [])
})

test('authenticate: the second request of a session costs no promise', async () => {
  const { authenticate, header } = await setUp()
  const first = await authenticate(ask({ authorization: header }))
  const second = authenticate(ask({ authorization: header }))
  assert.equal(second, first)
})

test('authenticate: no Authorization header is a missing token', async () => {
  const { authenticate, audits } = await setUp()
  assert.throws(() => authenticate(ask({ 'x-api-key': 'k' })), {
    code: 'session/invalid-token',
    message: 'invalid token',
  })
  assert.equal(
    JSON.stringify(audits),
    JSON.stringify([
      [
        'auth.denied',
        {
          request_id: '00000000-0000-4000-8000-000000000001',
          reason: 'missing_token',
          path: '/v1/messages',
          client_ip: '192.0.2.1',
        },
      ],
    ]),
  )
})

test('authenticate: anything else that is no session is an invalid token', async () => {
  const { authenticate, header, audits } = await setUp()
  for (const authorization of ['', 'Bearer ', 'Bearer x', header.toLowerCase(), `${header}x`]) {
    await assert.rejects(async () => authenticate(ask({ authorization })), {
      code: 'session/invalid-token',
    })
  }
  assert.equal(audits.length, 5)
  for (const [event, fields] of audits) {
    assert.equal(event, 'auth.denied')
    assert.equal('reason' in fields && fields.reason, 'invalid_token')
  }
  assert.doesNotMatch(JSON.stringify(audits), /Bearer/, 'no credential in the audit')
})

test('authenticate: a remembered session ends at its expiry', async () => {
  const clock = createFakeClock()
  const { authenticate, header } = await setUp(clock)
  await authenticate(ask({ authorization: header }))
  await clock.advance(3_600_000)
  await assert.rejects(async () => authenticate(ask({ authorization: header })), {
    code: 'session/invalid-token',
  })
})
