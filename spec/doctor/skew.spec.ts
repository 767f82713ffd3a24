import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeSkew } from '../../lib/doctor/skew.ts'

const bounds = { warnMs: 15_000, failMs: 30_000, key: 'oidc.clock_skew_seconds' }
const now = 1_800_000_000_000
const judge = (other: number | null): string => judgeSkew('clock', other, now, bounds).result

test('doctor clock: a second or two are the noise of whole seconds', () => {
  assert.equal(judge(now - 2_000), 'ok')
  assert.equal(judge(now + 2_000), 'ok')
})

test('doctor clock: beyond half of what is allowed it warns, beyond all of it it fails', () => {
  assert.equal(judge(now - 20_000), 'warn')
  assert.equal(judge(now + 20_000), 'warn')
  assert.equal(judge(now - 40_000), 'fail')
})

test('doctor clock: the fix names the way to synchronise and the key that sets the bound', () => {
  const finding = judgeSkew('clock', now + 60_000, now, bounds)
  assert.ok(finding.result === 'fail')
  assert.match(finding.seen, /60\.0 s behind/)
  assert.match(finding.fix, /NTP.*oidc\.clock_skew_seconds allows 30 s/)
})

test('doctor clock: a side that does not tell its time is no problem', () => {
  assert.equal(judge(null), 'ok')
  assert.equal(judge(Number.NaN), 'ok')
})
