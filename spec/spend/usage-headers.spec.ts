import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { standingOf } from '../../lib/spend/standing.ts'
import type { CapState, PoolState } from '../../lib/spend/sync.ts'
import { refusalOf, unavailableRefusal, usageHeaders } from '../../lib/spend/usage-headers.ts'

interface Recorded {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

/** What the reference answered to callers with known caps and known spend. */
const recorded: Readonly<Record<string, Recorded>> = {
  ...readFixture('spend-caps.json'),
  ...readFixture('caps.json'),
}

function readFixture(name: string): Record<string, Recorded> {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/spend', name), 'utf8'))
}

type CapOf = readonly [period: CapState['period'], cap: number, spent: number]

const capsOf = (...caps: readonly CapOf[]): CapState[] =>
  caps.map(([period, cap, spent], index) => ({
    period,
    cap: BigInt(cap),
    source: 'user',
    id: `spl_${index}`,
    spent,
  }))

/** The usage headers and the body of a recorded answer, and of ours at the same moment. */
function compare(name: string, caps: readonly CapState[], pools: readonly PoolState[] = []): void {
  const answer = recorded[name]
  assert.ok(answer, name)
  const isOurs = ([header]: readonly [string, string]): boolean =>
    /^(anthropic-ratelimit|retry-after|x-should-retry)/.test(header)
  const expected = answer.headers.filter(isOurs)
  const retryAfter = Number(expected.find(([header]) => header === 'retry-after')?.[1])
  const reset = Number(expected.find(([header]) => header.endsWith('unified-reset'))?.[1])
  const date = answer.headers.find(([header]) => header === 'Date')?.[1] ?? ''
  const nowMs = Number.isNaN(retryAfter) ? Date.parse(date) : (reset - retryAfter) * 1000
  const standing = standingOf(caps, pools, nowMs)
  if (standing.kind === 'open' || standing.kind === 'within') {
    assert.equal(answer.status, 200, name)
    assert.deepEqual(usageHeaders(standing), expected, name)
    return
  }
  const { reply } = refusalOf(standing, { blockedMessage: 'ask finops', nowMs })
  assert.equal(reply.status, answer.status, name)
  assert.deepEqual(reply.headers.filter(isOurs), expected, name)
  assert.equal(reply.body, answer.body, name)
}

test('usage headers: one monthly cap of 1000 cents, at every recorded share', () => {
  const shares = [749.9, 750, 750.1, 760, 949, 950, 960, 994, 995, 999, 999.99]
  for (const spent of shares) {
    compare(`cents ${spent} of 1000`, capsOf(['monthly', 1000, spent]))
  }
  compare('0%', capsOf(['monthly', 1000, 0]))
  compare('10%', capsOf(['monthly', 1000, 100]))
  compare('at cap 1000', capsOf(['monthly', 1000, 1000]))
  compare('at cap stream', capsOf(['monthly', 1000, 1000]))
  compare('150%', capsOf(['monthly', 1000, 1500]))
})

test('usage headers: of several caps the fullest is described, and the last to reset blocks', () => {
  const all = (spent: number) =>
    capsOf(['daily', 100, spent], ['weekly', 500, spent], ['monthly', 1000, spent])
  compare('over all three', all(1500))
  compare('120c: daily 100 over, weekly 24%, monthly 12%', all(120))
  compare('90c: daily 90%, weekly 18%', all(90))
  compare('600c: daily+weekly over', all(600))
  compare('weekly only over', capsOf(['daily', 1000, 600], ['weekly', 500, 600]))
})

test('usage headers: a cap of zero blocks always and does not promise a reset', () => {
  compare('zero cap daily', capsOf(['daily', 0, 0]))
})

test('usage headers: without a cap, and with an unlimited one, nothing is said', () => {
  compare('no caps', [])
  const [unlimited] = capsOf(['daily', 1, 5])
  assert.ok(unlimited)
  compare('null daily (unlimited)', [{ ...unlimited, cap: null }])
})

test('usage headers: a spent group budget is told in its own words, an open one not at all', () => {
  const member = capsOf(['monthly', 1000, 0])
  const pool = (spent: number): PoolState[] => [{ group: 'pb1', limit: 100n, spent }]
  compare('pool-80', member, pool(80))
  compare('pool-100', member, pool(100))
})

test('usage headers: the audit names the cap and where it comes from', () => {
  const nowMs = Date.parse('2026-11-22T10:32:07Z')
  const options = { blockedMessage: undefined, nowMs }
  const own = standingOf(capsOf(['daily', 100, 120]), [], nowMs)
  assert.ok(own.kind === 'over-cap')
  assert.deepEqual(refusalOf(own, options).audit, {
    cause: 'over_limit',
    cap_cents: '100',
    source: 'user',
    period: 'daily',
    groups: undefined,
  })
  const pooled = standingOf([], [{ group: 'pb1', limit: 600n, spent: 600 }], nowMs)
  assert.ok(pooled.kind === 'over-pool')
  assert.deepEqual(refusalOf(pooled, options).audit, {
    cause: 'over_limit',
    cap_cents: '600',
    source: 'group_pool',
    period: 'monthly',
    groups: ['pb1'],
  })
})

test('usage headers: a limit that cannot be checked refuses with fetch_error alone', () => {
  const { reply, audit } = unavailableRefusal({ blockedMessage: 'ask finops', nowMs: 0 })
  const expected = recorded['store-down-fail-closed']
  assert.equal(reply.body, expected?.body)
  assert.deepEqual(
    reply.headers.filter(([name]) => name !== 'Content-Type'),
    [
      ['anthropic-ratelimit-unified-overage-disabled-reason', 'fetch_error'],
      ['x-should-retry', 'false'],
    ],
  )
  assert.deepEqual(audit, { cause: 'store_error' })
})

test('usage headers: without a message of the operator nothing follows the text', () => {
  const nowMs = Date.parse('2026-11-22T10:32:07Z')
  const standing = standingOf(capsOf(['monthly', 10, 10]), [], nowMs)
  assert.ok(standing.kind === 'over-cap')
  const { reply } = refusalOf(standing, { blockedMessage: undefined, nowMs })
  assert.ok(typeof reply.body === 'string')
  assert.match(reply.body, /"message":"spend limit reached · resets Dec 1"/)
})

test('usage headers: a refusal shows hundredths too, and a pool without further words ends its sentence', () => {
  const nowMs = Date.parse('2026-11-27T12:00:00Z')
  const refuse = (standing: ReturnType<typeof standingOf>, blockedMessage?: string): string => {
    assert.ok(standing.kind === 'over-cap' || standing.kind === 'over-pool')
    const { reply } = refusalOf(standing, { blockedMessage, nowMs })
    const shown = reply.headers.find(([name]) => name.endsWith('overage-utilization'))?.[1]
    return `${shown} ${JSON.stringify(reply.body)}`
  }
  // What the reference was seen to answer.
  for (const [cap, spent, shown] of [
    [10, 99.6, '9.96'],
    [1000, 1124.85, '1.12'],
    [10, 14.25, '1.43'],
  ] as const) {
    const standing = standingOf(capsOf(['monthly', cap, spent]), [], nowMs)
    assert.ok(refuse(standing).startsWith(`${shown} `), refuse(standing))
  }
  const pool = standingOf([], [{ group: 'g', limit: 1n, spent: 2.0999 }], nowMs)
  assert.match(refuse(pool), /^2\.1 .*resets on December 1 at 00:00 UTC\./)
  assert.match(refuse(pool, ''), /UTC\.\\"/)
  assert.match(refuse(pool, 'ask finops'), /at 00:00 UTC · ask finops\\"/)
})
