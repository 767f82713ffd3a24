/** Reports that wait for a collector: on a moved clock, then behind a collector that is away. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import {
  createDestination,
  type Delivery,
  type Export,
  heldBytesMax,
} from '../../lib/telemetry/destination.ts'
import { createQueue, createQueuedDestination } from '../../lib/telemetry/queue.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createRecorder } from '../support/recorder.ts'

const report = (text: string | Uint8Array): Export => ({
  signal: 'metrics',
  body: typeof text === 'string' ? Buffer.from(text) : text,
  contentType: 'application/x-protobuf',
  contentEncoding: undefined,
})

function setUp(maxBytes = 1000, retryMs = 900_000) {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const budget = { maxBytes, retryMs, heldBytes: 0 }
  const sent: string[] = []
  let answer: (text: string) => Delivery | Promise<Delivery> = () => 'settled'
  const queue = createQueue({
    name: 'https://o',
    budget,
    clock,
    log,
    send: async ({ body }) => {
      const text = Buffer.from(body).toString()
      sent.push(text)
      return answer(text)
    },
  })
  return {
    clock,
    lines,
    budget,
    sent,
    queue,
    answers: (with_: typeof answer) => void (answer = with_),
  }
}

test('telemetry queue: a report is tried again after a second, then after growing pauses', async () => {
  const { clock, sent, queue, answers, budget, lines } = setUp()
  answers(() => 'failed')
  queue.add(report('a'))
  assert.deepEqual([budget.heldBytes, sent.length], [1, 0])
  const tries: number[] = []
  for (let second = 1; second <= 120; second++) {
    const before = sent.length
    await clock.advance(1000)
    if (sent.length > before) tries.push(second)
  }
  const pauses = tries.map((at, index) => at - (tries[index - 1] ?? 0))
  assert.ok(pauses.length >= 7 && pauses.length <= 10, pauses.join())
  assert.ok(pauses.every((pause) => pause <= 31))
  answers(() => 'settled')
  await clock.advance(31_000)
  assert.deepEqual([queue.length, budget.heldBytes], [0, 0])
  assert.equal(lines.at(-1), 'warn otel dest https://o takes reports again: 1 delivered late')
})

test('telemetry queue: once one got through the others follow at once', async () => {
  const { clock, sent, queue, budget } = setUp()
  for (let count = 0; count < 50; count++) queue.add(report(`${count};`))
  await clock.advance(1000)
  for (let turn = 0; queue.length > 0 && turn < 100; turn++) await clock.advance(0)
  assert.equal(sent.join(''), Array.from({ length: 50 }, (_, count) => `${count};`).join(''))
  assert.equal(budget.heldBytes, 0)
})

test('telemetry queue: beyond its memory reports are lost, counted and said', async () => {
  const { queue, budget, lines, answers } = setUp(10)
  answers(() => 'failed')
  queue.add(report('12345678'))
  assert.deepEqual([queue.hasRoom(2), queue.hasRoom(3)], [true, false])
  queue.add(report('123'))
  assert.deepEqual([queue.length, budget.heldBytes], [1, 8])
  assert.match(lines.join(), /otel dest https:\/\/o: lost 1 report\(s\), the queue is full or/)
})

test('telemetry queue: a report that waited too long is given up', async () => {
  const { clock, queue, budget, lines, answers } = setUp(1000, 60_000)
  answers(() => 'failed')
  queue.add(report('old'))
  await clock.advance(100_000)
  assert.deepEqual([queue.length, budget.heldBytes], [0, 0])
  assert.match(lines.join(), /lost 1 report/)
})

test('telemetry queue: one report that always fails does not hold up the others', async () => {
  const { clock, queue, sent, answers } = setUp()
  answers((text) => (text === 'bad' ? 'failed' : 'settled'))
  for (const text of ['bad', 'a', 'b', 'c']) queue.add(report(text))
  await clock.advance(60_000)
  assert.deepEqual(new Set(sent), new Set(['bad', 'a', 'b', 'c']))
  assert.equal(queue.length, 1)
})

test('telemetry queue: a shutdown tries everything once more and says what is given up', async () => {
  const { queue, sent, answers, budget } = setUp()
  queue.add(report('a'))
  queue.add(report('b'))
  assert.equal(await queue.finish(), 0)
  assert.deepEqual(sent, ['a', 'b'])
  answers(() => 'failed')
  queue.add(report('c'))
  queue.add(report('d'))
  assert.equal(await queue.finish(), 2)
  assert.deepEqual([queue.length, budget.heldBytes], [0, 0])
})

const egress = createEgress({ allowLoopback: true, clock: systemClock })
after(() => egress.close())

test('telemetry queue: a collector that is away for five minutes gets every report', async (t) => {
  const collector = await createFakeUpstream()
  t.after(() => collector.close())
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const inner = createDestination(
    { egress, clock, log },
    { url: collector.url, headers: {}, metrics: true, logs: true, traces: true },
  )
  const budget = { maxBytes: 1_048_576, retryMs: 900_000, heldBytes: 0 }
  const name = collector.url
  const destination = createQueuedDestination(inner, { name, budget, clock, log })
  /** Real sockets need real time while the clock of the queue stands still. */
  const settle = async (): Promise<void> => {
    while (inner.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setImmediate(resolve))
  }
  collector.always({ status: 503 })
  let number = 0
  for (let second = 0; second < 300; second += 5) {
    assert.equal(destination.admits(10), true)
    void destination.deliver(report(`r${number++}`))
    await settle()
    await clock.advance(5000)
    await settle()
  }
  assert.ok(budget.heldBytes > 0)
  const taken = new Set<string>()
  collector.always(({ body }) => {
    taken.add(body.toString())
    return {}
  })
  for (let round = 0; round < 30 && taken.size < number; round++) {
    await clock.advance(5000)
    for (let turn = 0; turn < 20; turn++) await settle()
  }
  assert.equal(taken.size, number)
  assert.equal(await destination.finish(), 0)
  assert.equal(budget.heldBytes, 0)
  assert.ok(lines.some((line) => /takes reports again: \d+ delivered late/.test(line)))
  assert.doesNotMatch(lines.join(), /lost|dropped/)
})

test('telemetry queue: what no destination takes in one piece does not wait', async () => {
  const clock = createFakeClock()
  const { log, lines } = createRecorder()
  const inner = createDestination(
    { egress, clock, log },
    { url: 'http://127.0.0.1:9', headers: {}, metrics: true, logs: true, traces: true },
  )
  const budget = { maxBytes: 2 * heldBytesMax, retryMs: 900_000, heldBytes: 0 }
  const destination = createQueuedDestination(inner, {
    name: 'd',
    budget,
    clock,
    log,
  })
  await destination.deliver(report(new Uint8Array(heldBytesMax + 1)))
  assert.equal(budget.heldBytes, 0)
  assert.match(lines.join(), /dropped 1 export/)
  await destination.deliver(report('x'))
  assert.equal(budget.heldBytes, 1, 'a refused connection is worth another try')
  assert.equal(await destination.finish(), 1)
  assert.equal(budget.heldBytes, 0)
})
