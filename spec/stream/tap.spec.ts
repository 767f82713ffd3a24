import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../../lib/kernel/log.ts'
import { createTapRunner, type Outcome, type Tap } from '../../lib/stream/tap.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function createLines() {
  const lines: string[] = []
  const { log } = createLog('debug', (line) => lines.push(line), createFakeClock())
  return { lines, log }
}

interface Recorder extends Tap {
  readonly seen: string[]
  readonly outcomes: Outcome[]
}

function createRecorder(name: string, failOn: { chunk?: string; settle?: true } = {}): Recorder {
  const seen: string[] = []
  const outcomes: Outcome[] = []
  return {
    name,
    seen,
    outcomes,
    chunk(bytes) {
      const text = Buffer.from(bytes).toString()
      if (text === failOn.chunk) throw new SyntaxError(`unexpected token in "${text}"`)
      seen.push(text)
    },
    settle(outcome) {
      outcomes.push(outcome)
      if (failOn.settle) throw new Error('secret completion text')
    },
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)

test('tap runner: every tap sees every chunk in order and settles with the outcome', () => {
  const { lines, log } = createLines()
  const a = createRecorder('a')
  const b = createRecorder('b')
  const runner = createTapRunner([a, b], log)
  for (const text of ['one', 'two', 'three']) runner.chunk(bytes(text))
  runner.settle('complete')
  for (const tap of [a, b]) {
    assert.deepEqual(tap.seen, ['one', 'two', 'three'])
    assert.deepEqual(tap.outcomes, ['complete'])
  }
  assert.deepEqual(lines, [])
})

test('tap runner: taps without a chunk method are settled all the same', () => {
  const { log } = createLines()
  const outcomes: Outcome[] = []
  const runner = createTapRunner(
    [{ name: 'ends', settle: (outcome) => void outcomes.push(outcome) }],
    log,
  )
  runner.chunk(bytes('x'))
  runner.settle('timeout')
  assert.deepEqual(outcomes, ['timeout'])
})

test('tap runner: the methods of a tap keep their this', () => {
  const { log } = createLines()
  class Counter implements Tap {
    readonly name = 'counter'
    bytes = 0
    outcome: Outcome | null = null
    chunk(chunk: Uint8Array): void {
      this.bytes += chunk.length
    }
    settle(outcome: Outcome): void {
      this.outcome = outcome
    }
  }
  const counter = new Counter()
  const runner = createTapRunner([counter], log)
  runner.chunk(bytes('12345'))
  runner.settle('client-gone')
  assert.equal(counter.bytes, 5)
  assert.equal(counter.outcome, 'client-gone')
})

test('tap runner: a tap that throws is logged once, sees no more chunks, and is still settled', () => {
  const { lines, log } = createLines()
  const bad = createRecorder('bad', { chunk: 'two' })
  const good = createRecorder('good')
  const runner = createTapRunner([bad, good], log)
  for (const text of ['one', 'two', 'two', 'three']) runner.chunk(bytes(text))
  runner.settle('complete')
  assert.deepEqual(bad.seen, ['one'])
  assert.deepEqual(bad.outcomes, ['complete'])
  assert.deepEqual(good.seen, ['one', 'two', 'two', 'three'])
  assert.deepEqual(good.outcomes, ['complete'])
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', / error tap bad failed on a chunk .*SyntaxError at /)
})

test('tap runner: two taps that fail on the same chunk do not hide each other or a third', () => {
  const { lines, log } = createLines()
  const first = createRecorder('first', { chunk: 'x' })
  const second = createRecorder('second', { chunk: 'x' })
  const third = createRecorder('third')
  const runner = createTapRunner([first, second, third], log)
  runner.chunk(bytes('x'))
  runner.chunk(bytes('y'))
  runner.settle('upstream-broke')
  assert.deepEqual(third.seen, ['x', 'y'])
  assert.deepEqual([first.seen, second.seen], [[], []])
  assert.equal(lines.length, 2)
})

test('tap runner: a tap that throws while settling does not keep the others from settling', () => {
  const { lines, log } = createLines()
  const bad = createRecorder('bad', { settle: true })
  const good = createRecorder('good')
  const runner = createTapRunner([bad, good], log)
  runner.settle('client-gone')
  assert.deepEqual(good.outcomes, ['client-gone'])
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /tap bad failed to settle \(client-gone\)/)
})

test('tap runner: what a tap throws is never quoted in the log', () => {
  const { lines, log } = createLines()
  const runner = createTapRunner(
    [
      createRecorder('quotes', { chunk: 'confidential', settle: true }),
      {
        name: 'odd',
        settle() {
          // oxlint-disable-next-line typescript/only-throw-error -- the case is a foreign throw
          throw 'confidential'
        },
      },
    ],
    log,
  )
  runner.chunk(bytes('confidential'))
  runner.settle('complete')
  assert.equal(lines.length, 3)
  assert.doesNotMatch(lines.join(''), /confidential|completion text/)
})

test('tap runner: only the first settle counts and chunks after it are not shown', () => {
  const { log } = createLines()
  const tap = createRecorder('once')
  const runner = createTapRunner([tap], log)
  runner.settle('upstream-broke')
  runner.settle('complete')
  runner.chunk(bytes('late'))
  assert.deepEqual(tap.outcomes, ['upstream-broke'])
  assert.deepEqual(tap.seen, [])
})

test('tap runner: a tap that settles the runner from inside is settled once', () => {
  const { log } = createLines()
  const outcomes: Outcome[] = []
  const runner = createTapRunner(
    [
      {
        name: 'eager',
        settle(outcome) {
          outcomes.push(outcome)
          runner.settle('timeout')
        },
      },
    ],
    log,
  )
  runner.settle('complete')
  assert.deepEqual(outcomes, ['complete'])
})

test('tap runner: taps hear once of a head that is out, and one that throws is alone with it', () => {
  const { lines, log } = createLines()
  let heads = 0
  const heard: Tap = { name: 'heard', head: () => void (heads += 1), settle: () => {} }
  const throws: Tap = {
    name: 'throws',
    head() {
      throw new Error('completion text')
    },
    settle: () => {},
  }
  const runner = createTapRunner([throws, heard, createRecorder('without')], log)
  runner.head()
  runner.head()
  assert.equal(heads, 1)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /tap throws failed on the head: Error/)
  const gone = createTapRunner([heard], log)
  gone.settle('client-gone')
  gone.head()
  assert.equal(heads, 1, 'of a reply that is over no head can go out')
})
