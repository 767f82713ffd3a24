import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyFeed, type Source } from '../../lib/egress/body-feed.ts'
import { createRandom } from '../support/random.ts'

interface Recorded extends Source {
  readonly calls: string[]
}

function createSource(onResume: () => void = () => {}): Recorded {
  const calls: string[] = []
  return {
    calls,
    pause: () => void calls.push('pause'),
    resume: () => {
      calls.push('resume')
      onResume()
    },
    abort: (reason) => void calls.push(`abort ${reason.message}`),
  }
}

const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString()
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('body feed: chunks of one tick arrive as one, the end right behind them', async () => {
  const source = createSource()
  const feed = new BodyFeed(source)
  const reader = feed.stream.getReader()
  const first = reader.read()
  await settled()
  feed.push(Buffer.from('a'))
  feed.push(Buffer.from('b'))
  feed.push(Buffer.from('c'))
  feed.end()
  assert.equal(text((await first).value), 'abc')
  assert.equal((await reader.read()).done, true)
  assert.deepEqual(source.calls, [])
})

test('body feed: a single chunk is handed on without a copy', async () => {
  const feed = new BodyFeed(createSource())
  const chunk = Buffer.from('as it is')
  feed.push(chunk)
  assert.equal((await feed.stream.getReader().read()).value, chunk)
})

test('body feed: chunks of different ticks join while the reader is busy', async () => {
  const feed = new BodyFeed(createSource())
  const reader = feed.stream.getReader()
  feed.push(Buffer.from('a'))
  await settled()
  feed.push(Buffer.from('b'))
  await settled()
  assert.equal(text((await reader.read()).value), 'ab')
})

test('body feed: an empty chunk is nothing, and an empty body just ends', async () => {
  const feed = new BodyFeed(createSource())
  const reader = feed.stream.getReader()
  const first = reader.read()
  feed.push(new Uint8Array(0))
  await settled()
  feed.end()
  assert.equal((await first).done, true)
})

test('body feed: a slow reader pauses the source at 64 KiB and resumes it once it has read', async () => {
  const source = createSource()
  const feed = new BodyFeed(source)
  feed.push(Buffer.alloc(65_535))
  assert.deepEqual(source.calls, [])
  feed.push(Buffer.alloc(1))
  // A parser may deliver what it had in hand after it was paused.
  feed.push(Buffer.alloc(10))
  assert.deepEqual(source.calls, ['pause'])
  const { value } = await feed.stream.getReader().read()
  assert.equal(value?.length, 65_546)
  assert.deepEqual(source.calls, ['pause', 'resume'])
})

test('body feed: a source that delivers from within resume, and ends there, loses nothing', async () => {
  let more = true
  const source = createSource(() => {
    if (more) feed.push(Buffer.alloc(70_000, 'b'))
    more = false
    feed.end()
  })
  const feed = new BodyFeed(source)
  feed.push(Buffer.alloc(65_536, 'a'))
  const reader = feed.stream.getReader()
  assert.equal((await reader.read()).value?.length, 65_536)
  assert.equal((await reader.read()).value?.length, 70_000)
  assert.equal((await reader.read()).done, true)
})

test('body feed: when the source breaks, what it sent is delivered before the error', async () => {
  const feed = new BodyFeed(createSource())
  const reader = feed.stream.getReader()
  feed.push(Buffer.from('half an ev'))
  feed.fail(new Error('reset'))
  feed.end()
  await settled()
  assert.equal(text((await reader.read()).value), 'half an ev')
  await assert.rejects(reader.read(), { message: 'reset' })
})

test('body feed: a stop fails the stream at once and drops what was waiting', async () => {
  const source = createSource()
  const feed = new BodyFeed(source)
  const reader = feed.stream.getReader()
  feed.push(Buffer.from('unread'))
  feed.stop(new Error('client gone'))
  feed.push(Buffer.from('late'))
  feed.end()
  await assert.rejects(reader.read(), { message: 'client gone' })
  assert.deepEqual(source.calls, [])
})

test('body feed: a stop wakes a reader that waits', async () => {
  const feed = new BodyFeed(createSource())
  const waiting = feed.stream.getReader().read()
  await settled()
  feed.stop(new Error('client gone'))
  await assert.rejects(waiting, { message: 'client gone' })
})

test('body feed: cancelling aborts the source at once with the reason, and only once', async () => {
  const source = createSource()
  const feed = new BodyFeed(source)
  feed.push(Buffer.from('unread'))
  const cancelled = feed.stream.cancel(new Error('not wanted'))
  assert.deepEqual(source.calls, ['abort not wanted'])
  await cancelled
  feed.push(Buffer.from('late'))
  feed.fail(new Error('not wanted'))
  feed.stop(new Error('again'))
  await settled()
  assert.deepEqual(source.calls, ['abort not wanted'])
})

test('body feed: cancelling without a reason still says why', async () => {
  const source = createSource()
  await new BodyFeed(source).stream.cancel()
  assert.deepEqual(source.calls, ['abort the reader cancelled the body'])
})

test('body feed: cancelling a body that has ended leaves its connection alone', async () => {
  const source = createSource()
  const feed = new BodyFeed(source)
  feed.push(Buffer.from('a small error body'))
  feed.end()
  await feed.stream.cancel()
  assert.deepEqual(source.calls, [])
})

test('body feed: random pushes, pauses and reads deliver every byte in order', async () => {
  const random = createRandom()
  for (let round = 0; round < 30; round++) {
    const sent = Buffer.alloc(1 + random.below(400_000))
    for (let i = 0; i < sent.length; i += 97) sent[i] = random.below(256)
    let offset = 0
    let paused = false
    const feed: BodyFeed = new BodyFeed({
      pause: () => void (paused = true),
      // As undici's parser does: what lies in the socket's buffer is parsed within the call.
      resume: () => {
        paused = false
        push()
      },
      abort: () => assert.fail('nobody cancels'),
    })
    const push = (): void => {
      while (!paused && offset < sent.length) {
        const size = 1 + random.below(30_000)
        feed.push(sent.subarray(offset, offset + size))
        offset += size
        if (random.below(4) === 0) break
      }
      if (offset >= sent.length) feed.end()
    }
    const pump = (async () => {
      while (offset < sent.length) {
        if (!paused) push()
        await settled()
      }
    })()
    const parts: Uint8Array[] = []
    for await (const part of feed.stream) {
      assert.ok(
        part.length <= 64 * 1024 + 30_000,
        `one chunk of ${part.length}, seed ${random.seed}`,
      )
      parts.push(part)
      if (random.below(3) === 0) await settled()
    }
    await pump
    assert.ok(Buffer.concat(parts).equals(sent), `seed ${random.seed}, round ${round}`)
  }
})
