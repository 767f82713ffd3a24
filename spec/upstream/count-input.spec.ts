import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createInputCounter } from '../../lib/upstream/count-input.ts'
import type { Answer, AttemptResult, Upstream } from '../../lib/upstream/upstream.ts'
import { createAsk } from '../support/ask.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createRecorder } from '../support/recorder.ts'

const answerWith = (body: string, status = 200): AttemptResult => {
  const answer: Answer = {
    upstream: 'a',
    status,
    headers: [],
    body: Buffer.from(body),
    upstreamRequestId: null,
    upstreamCloudRequestId: null,
    reason: String(status),
  }
  return { kind: 'answered', answer }
}

function counterOf(send: Upstream['send']) {
  const clock = createFakeClock()
  const upstream: Upstream = { name: 'a', provider: 'anthropic', send, close: async () => {} }
  const { log } = createRecorder()
  const counter = createInputCounter({ upstreams: [upstream], clock, log })
  return { clock, count: counter.count, idle: () => counter.idle() }
}

const body =
  '{"model":"m","max_tokens":1, "messages":[{"role":"user","content":"hi"}],"system":"s"}'

test('count input: the upstream that answered is asked about the fields that count', async () => {
  const asked: string[] = []
  const { count } = counterOf((ask, model) => {
    asked.push(`${ask.operation} ${model} ${Buffer.from(ask.body.bytes).toString()}`)
    return Promise.resolve(answerWith('{"input_tokens":4200}'))
  })
  assert.equal(await count(createAsk({ body }), 'a', 'sent'), 4200)
  assert.deepEqual(asked, [
    'count_tokens sent {"messages":[{"role":"user","content":"hi"}],"system":"s","model":"m"}',
  ])
})

test('count input: without a usable count a quarter of the characters is one', async () => {
  const hi = '{"model":"m","messages":[{"role":"user","content":"hi"}]}'
  for (const result of [
    answerWith('{}', 404),
    answerWith('{"input_tokens":"7"}'),
    answerWith('no json'),
    { kind: 'failed', reason: 'reset' } as const,
  ]) {
    const { count } = counterOf(() => Promise.resolve(result))
    assert.equal(await count(createAsk({ body: hi }), 'a', 'm'), 12)
  }
  const { count } = counterOf(() => Promise.reject(new Error('broken')))
  assert.equal(await count(createAsk({ body: hi }), 'gone', 'm'), 12)
})

test('count input: a count that hangs is given up after five seconds, and a drain waits for it (B040)', async () => {
  const { count, idle, clock } = counterOf(
    ({ signal }) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve({ kind: 'client-gone' })),
      ),
  )
  const counted = count(createAsk({ body: '{"model":"m","messages":[]}' }), 'a', 'm')
  let isIdle = false
  const waited = idle().then(() => (isIdle = true))
  await clock.advance(4999)
  assert.equal(isIdle, false)
  await clock.advance(1)
  assert.equal(await counted, 4)
  await waited
  assert.equal(isIdle, true)
})
