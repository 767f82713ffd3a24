import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { Account } from '../../lib/spend/account.ts'
import { Question, type Verdict } from '../../lib/spend/question.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const caller: Caller = { sub: 'u', email: undefined, name: undefined, groups: [], expiresAt: 0 }
const open: Verdict = { kind: 'standing', standing: { kind: 'open' }, granted: true }

test('question: nobody waits longer than 1.5 seconds, and what comes later is not heard', async () => {
  const clock = createFakeClock()
  const question = new Question(new Account(caller), caller, 5, null)
  let ended = 0
  question.wait(clock, () => (ended += 1))
  await clock.advance(1499)
  assert.equal(question.isOver, false)
  await clock.advance(1)
  question.answer(open)
  const verdict = await question.verdict
  assert.ok(verdict.kind === 'unknown')
  assert.match(verdict.reason, /within 1500 ms/)
  assert.deepEqual([question.isOver, ended], [true, 1])
})

test('question: an answer ends the wait', async () => {
  const clock = createFakeClock()
  const question = new Question(new Account(caller), caller, null, null)
  question.wait(clock, () => assert.fail('it was answered'))
  question.answer(open)
  await clock.advance(2000)
  assert.deepEqual(await question.verdict, open)
})

test('question: where nobody can be asked, what was known of a spent cap holds', async () => {
  const spent = { period: 'daily', cents: 1n, spent: 1, source: 'user', endsAt: 0 } as const
  const last = { kind: 'over-cap', cap: spent } as const
  const question = new Question(new Account(caller), caller, null, last)
  question.answer({ kind: 'unknown', reason: 'away' })
  assert.deepEqual(await question.verdict, { kind: 'standing', standing: last, granted: false })
})
