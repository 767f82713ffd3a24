import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { amountOf } from '../../lib/spend/amount.ts'
import { createSpendGate, type GateConfig, openGate } from '../../lib/spend/gate.ts'
import { createLedger } from '../../lib/spend/ledger.ts'
import { migrate } from '../../lib/store/migrate.ts'
import { ownMigrations } from '../../lib/store/migrations/own.ts'
import { createDatabase } from '../support/database.ts'
import { createRecorder } from '../support/recorder.ts'
import { openStore } from '../support/store.ts'

const database = await createDatabase()
const store = openStore(
  { after: (action) => void process.once('beforeExit', () => void action()) },
  database.url,
)
await migrate({ store, log: createRecorder().log, own: ownMigrations })
const addCap = (sub: string, cents: number) =>
  database.query(
    `INSERT INTO spend_limits (id, scope_type, scope_id, amount) VALUES ($1, 'user', $1, $2)`,
    [sub, cents],
  )

const callerOf = (sub: string): Caller => ({
  sub,
  email: undefined,
  name: undefined,
  groups: [],
  expiresAt: 0,
})

function gateWith(config: Partial<GateConfig>) {
  const recorder = createRecorder()
  const ledger = createLedger({ store, clock: systemClock, log: recorder.log })
  const gate = createSpendGate(
    { ledger, clock: systemClock, log: recorder.log, audit: recorder.audit },
    { fail_closed_on_error: false, reserve: false, ...config },
  )
  return { gate, ledger, recorder }
}

test('gate: without admin everybody passes and nothing is held', () => {
  const amount = (): never => assert.fail('nobody needs the estimate')
  assert.deepEqual(openGate.admit(callerOf('a'), 'r'), { kind: 'admitted', headers: [] })
  assert.equal((openGate.reserve(callerOf('a'), 'r', amount) as { kind: string }).kind, 'reserved')
  openGate.accrue(callerOf('a'), 1n)
})

test('gate: a refusal has its line in the audit, with the id of the request', async () => {
  await addCap('zero', 0)
  const { gate, ledger, recorder } = gateWith({ blocked_message: 'ask' })
  const admitted = await gate.admit(callerOf('zero'), 'req-1')
  assert.ok(admitted.kind === 'refused')
  assert.equal(admitted.reply.status, 429)
  assert.equal(
    recorder.lastAudit('spend.blocked'),
    '{"request_id":"req-1","sub":"zero","cause":"over_limit","cap_cents":"0","source":"user","period":"monthly"}',
  )
  ledger.close()
})

test('gate: reserve holds the estimate until it is released, once', async () => {
  await addCap('tight', 10)
  const { gate, ledger, recorder } = gateWith({ reserve: true })
  const ten = () => amountOf(0.1)
  const first = await gate.reserve(callerOf('tight'), 'r-1', ten)
  assert.ok(first.kind === 'reserved')
  const second = await gate.reserve(callerOf('tight'), 'r-2', ten)
  assert.equal(second.kind, 'refused')
  assert.match(recorder.lastAudit('spend.blocked') ?? '', /"request_id":"r-2"/)
  first.release()
  first.release()
  const third = await gate.reserve(callerOf('tight'), 'r-3', ten)
  assert.equal(third.kind, 'reserved')
  ledger.close()
})

test('gate: without reserve the estimate is not even made', async () => {
  const { gate, ledger } = gateWith({})
  const reserved = await gate.reserve(callerOf('x'), 'r', () => assert.fail('made'))
  assert.equal(reserved.kind, 'reserved')
  ledger.close()
})
