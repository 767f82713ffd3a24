import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openInferenceEntry, outcomeOf } from '../../lib/audit/inference.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { createLog } from '../../lib/kernel/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const caller: Caller = {
  sub: 'u-alice',
  email: 'alice@example.com',
  name: 'Alice',
  groups: ['eng'],
  expiresAt: 0,
}
const figures = {
  input_tokens: 10,
  output_tokens: 5,
  cache_read_input_tokens: 3,
  cache_creation_input_tokens: 2,
  estimated: false,
  cents: 0.0105,
}

function open(who: Caller = caller) {
  const lines: string[] = []
  const clock = createFakeClock()
  const { audit } = createLog('info', (line) => lines.push(line), clock)
  const entry = openInferenceEntry(
    { requestId: 'r1', caller: who, path: '/v1/messages', startedAt: clock.elapsed() },
    clock,
    audit,
  )
  return { lines, clock, entry }
}

test('inference audit: one line at the end, the fields of the reference first and in its order (F209)', async () => {
  const { lines, clock, entry } = open()
  entry.model = 'claude-sonnet-4-6'
  entry.upstream = 'anthropic'
  entry.upstreamRequestId = 'req_up'
  const tap = entry.tap(200, (outcome) => ({ outcome: outcomeOf(outcome), usage: figures }))
  await clock.advance(40)
  tap.chunk?.(new Uint8Array(1))
  await clock.advance(60)
  tap.chunk?.(new Uint8Array(1))
  assert.equal(lines.length, 0)
  tap.settle('complete')
  assert.equal(lines.length, 1)
  const line = JSON.parse(lines[0] ?? '')
  assert.deepEqual(Object.keys(line).slice(2), [
    'request_id',
    'sub',
    'email',
    'path',
    'model',
    'upstream',
    'upstream_request_id',
    'upstream_cloud_request_id',
    'status',
    'ms',
    'ttfb_ms',
    'outcome',
    'input_tokens',
    'output_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
    'estimated',
    'cents',
  ])
  assert.equal(line.cents, 0.0105)
  assert.equal(line.evt, 'inference')
  assert.equal(line.upstream_cloud_request_id, null)
  assert.equal(line.ms, 100)
  assert.equal(line.ttfb_ms, 40)
})

test('inference audit: a call that ends before any upstream answered has no upstream', () => {
  const { lines, entry } = open({ ...caller, email: undefined })
  entry.end(400, 'refused')
  const line = JSON.parse(lines[0] ?? '')
  assert.equal(line.status, 400)
  assert.equal(line.upstream, null)
  assert.equal(line.model, null)
  assert.equal(line.outcome, 'refused')
  assert.equal('email' in line, false)
  assert.equal('ttfb_ms' in line, false)
  assert.equal('cents' in line, false)
})

test('inference audit: every ending has its own word', () => {
  assert.equal(outcomeOf('client-gone'), 'client_abort')
  assert.equal(outcomeOf('upstream-broke'), 'upstream_cut')
  assert.equal(outcomeOf('timeout'), 'timeout')
})

test('inference audit: a model of unreasonable length is cut', () => {
  const { lines, entry } = open()
  entry.model = 'm'.repeat(100_000)
  entry.end(400, 'refused')
  assert.equal(JSON.parse(lines[0] ?? '').model.length, 256)
})

test('inference audit: load-test calls say so', () => {
  const { lines, entry } = open()
  entry.loadTest = true
  entry.end(502, 'refused')
  assert.equal(JSON.parse(lines[0] ?? '').load_test, true)
})

test('inference audit: the billing group stands before the status (F387)', () => {
  const { lines, entry } = open()
  entry.billing = { kind: 'named', group: 'eng' }
  entry.end(400, 'refused')
  entry.billing = { kind: 'ignored' }
  entry.end(400, 'refused')
  entry.billing = { kind: 'none' }
  entry.end(400, 'refused')
  const [named = '', ignored = '', none = ''] = lines
  assert.match(named, /"upstream_cloud_request_id":null,"billing_group":"eng","status":400,/)
  assert.match(ignored, /_request_id":null,"billing_group_ignored":true,"status":400,/)
  assert.match(none, /"upstream_cloud_request_id":null,"status":400,/)
})
