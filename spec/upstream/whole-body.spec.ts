import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineExceeded, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { readBeginning, readWhole } from '../../lib/upstream/whole-body.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const limits = { maxBytes: 10, maxMs: 1_000, what: 'the answer' }

interface Source {
  readonly body: ReadableStream<Uint8Array>
  readonly cancelled: () => boolean
}

/** A body of these parts, and whether its reader gave it up. An Error ends it, `stall` does not. */
function bodyOf(...parts: readonly (string | Error)[]): Source {
  const left = parts.slice()
  let gone = false
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const part = left.shift()
        if (part === undefined) controller.close()
        else if (part instanceof Error) controller.error(part)
        else if (part !== 'stall') controller.enqueue(Buffer.from(part))
      },
      cancel: () => void (gone = true),
    },
    { highWaterMark: 0 },
  )
  return { body, cancelled: () => gone }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

test('whole body: all parts come as one', async () => {
  assert.equal(text(await readWhole(bodyOf('ab', 'cd').body, systemClock, limits)), 'abcd')
  assert.equal(text(await readWhole(bodyOf('0123456789').body, systemClock, limits)), '0123456789')
  assert.equal(text(await readWhole(bodyOf().body, systemClock, limits)), '')
})

test('whole body: a body that is too large is given up at once', async () => {
  const { body, cancelled } = bodyOf('01234567', '89a', 'never read')
  const read = readWhole(body, systemClock, limits)
  await assert.rejects(read, new UpstreamBroke('the answer is larger than 10 bytes'))
  assert.ok(cancelled())
})

test('whole body: of a beginning only that much is kept', async () => {
  const { body, cancelled } = bodyOf('01234567', '89abc', 'never read')
  assert.equal(text(await readBeginning(body, systemClock, limits)), '0123456789')
  assert.ok(cancelled())
  assert.equal(text(await readBeginning(bodyOf('ab').body, systemClock, limits)), 'ab')
})

test('whole body: a body that breaks fails with its own reason', async () => {
  const broken = new UpstreamBroke('cut')
  await assert.rejects(readWhole(bodyOf('a', broken).body, systemClock, limits), broken)
  await assert.rejects(readBeginning(bodyOf('a', broken).body, systemClock, limits), broken)
})

test('whole body: a body that does not end in time is given up', async () => {
  for (const read of [readWhole, readBeginning]) {
    const clock = createFakeClock()
    const { body, cancelled } = bodyOf('a', 'stall')
    const outcome = assert.rejects(
      read(body, clock, limits),
      new DeadlineExceeded('the answer', 1_000),
    )
    await clock.advance(1_000)
    await outcome
    assert.ok(cancelled())
  }
})
