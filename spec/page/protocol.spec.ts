import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProtocolPage } from '../../lib/page/protocol.ts'
import { type PeriodName, periodNames } from '../../lib/spend/period.ts'
import { refusalOf, unavailableRefusal, usageHeaders } from '../../lib/spend/usage-headers.ts'
import { makeExchange } from '../support/exchange.ts'

const reply = await createProtocolPage()(makeExchange())
const text = typeof reply.body === 'string' ? reply.body : ''

test('protocol page: it is markdown', () => {
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.headers, [['Content-Type', 'text/markdown; charset=utf-8']])
  assert.match(text, /^# /)
})

test('protocol page: it says that the project is independent', () => {
  assert.match(text, /independent/)
  assert.match(text, /neither made nor endorsed by Anthropic/)
})

test('protocol page: every endpoint of a client is on it', () => {
  for (const path of [
    '/.well-known/oauth-authorization-server',
    '/oauth/device_authorization',
    '/oauth/token',
    '/oauth/revoke',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/models',
    '/managed/settings',
    '/user/bootstrap',
    '/api/oauth/usage',
    '/v1/metrics',
    '/v1/logs',
    '/v1/traces',
    '/healthz',
    '/readyz',
  ]) {
    assert.ok(text.includes(path), path)
  }
})

/** Every header the gateway sends about limits, and every word it has as the value of one. */
function spendingHeaders() {
  const nowMs = Date.parse('2026-11-22T12:00:00Z')
  const options = { blockedMessage: undefined, nowMs }
  const endsAt = Date.parse('2026-11-23T00:00:00Z')
  const capOf = (period: PeriodName, spent: number) =>
    ({ period, cents: 100n, spent, source: 'user', endsAt }) as const
  const pool = { kind: 'over-pool', groups: ['g'], cents: 1n, spent: 2, endsAt } as const
  const daily = refusalOf({ kind: 'over-cap', cap: capOf('daily', 100) }, options).reply
  const replies = [
    daily,
    ...periodNames.map(
      (period) => refusalOf({ kind: 'over-cap', cap: capOf(period, 100) }, options).reply,
    ),
    refusalOf(pool, options).reply,
    unavailableRefusal(options).reply,
  ]
  const told = [0, 80, 96].flatMap((spent) =>
    usageHeaders({ kind: 'within', cap: capOf('weekly', spent) }),
  )
  return { daily, headers: [...told, ...replies.flatMap(({ headers }) => headers)] }
}

test('protocol page: every spending header and the 429 body are described as they are sent (F299)', () => {
  const { daily, headers } = spendingHeaders()
  const said = text.toLowerCase()
  for (const [name, value] of headers) {
    const header = name.toLowerCase()
    if (header === 'content-type') continue
    const short = header.replace('anthropic-ratelimit-unified-', '…-')
    const spellings = [`\`${header}\``, `\`${header}:`, `\`${short}\``, `\`${short}:`]
    assert.ok(
      spellings.some((spelling) => said.includes(spelling)),
      header,
    )
    if (/^[a-z_]+$/.test(value))
      assert.ok(said.includes(`\`${value}\``) || said.includes(`: ${value}\``), value)
  }
  assert.ok(new Set(headers.map(([name]) => name)).size >= 12)
  const samples = [...text.matchAll(/```json\n([^`]*)```/g)].map(([, sample = '']) => sample.trim())
  assert.ok(typeof daily.body === 'string')
  assert.ok(samples.includes(daily.body), daily.body)
})

test('protocol page: the JSON on it is JSON', () => {
  const samples = [...text.matchAll(/```json\n([^`]*)```/g)]
  assert.equal(samples.length, 2)
  for (const [, sample = ''] of samples) assert.equal(typeof JSON.parse(sample), 'object')
})
