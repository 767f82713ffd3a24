import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientGone, UpstreamBroke } from '../../lib/kernel/abort.ts'
import { pingAfterMs, pingEvent, relayEvents, type EventDecoder } from '../../lib/stream/relay.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'

interface Body {
  readonly stream: ReadableStream<Uint8Array>
  readonly send: (text: string) => void
  readonly end: () => void
  readonly cut: (error: Error) => void
  readonly cancelled: () => unknown
}

function createBody(): Body {
  let feed: ReadableStreamDefaultController<Uint8Array> | null = null
  let reason: unknown
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => void (feed = controller),
    cancel: (given) => void (reason = given),
  })
  return {
    stream,
    send: (text) => feed?.enqueue(Buffer.from(text)),
    end: () => feed?.close(),
    cut: (error) => feed?.error(error),
    cancelled: () => reason,
  }
}

/** Passes text in angle brackets; `!` breaks the stream, and half a bracket at the end does. */
function createBrackets(): EventDecoder {
  let half = ''
  let failure: UpstreamBroke | null = null
  return {
    push(chunk) {
      const text = half + Buffer.from(chunk).toString()
      if (text.includes('!')) failure = new UpstreamBroke('a mark')
      const end = text.lastIndexOf('>') + 1
      half = text.slice(end)
      return text.slice(0, end)
    },
    end() {
      if (half !== '') failure = new UpstreamBroke('half a bracket')
    },
    failure: () => failure,
  }
}

interface Bench extends Body {
  readonly clock: FakeClock
  readonly reader: ReadableStreamDefaultReader<Uint8Array>
  /** The next chunk as text, or null at the end. */
  readonly read: () => Promise<string | null>
}

function open(): Bench {
  const body = createBody()
  const clock = createFakeClock()
  const reader = relayEvents(body.stream, createBrackets(), clock).getReader()
  const read = async (): Promise<string | null> => {
    const { done, value } = await reader.read()
    return done ? null : Buffer.from(value).toString()
  }
  return { ...body, clock, reader, read }
}

test('relay: events leave with the chunk that completes them', async () => {
  const { send, end, read } = open()
  send('<a>')
  assert.equal(await read(), '<a>')
  send('<b')
  send('><c')
  assert.equal(await read(), '<b>')
  send('>')
  assert.equal(await read(), '<c>')
  end()
  assert.equal(await read(), null)
})

test('relay: a ping is sent after fifteen seconds of silence, and after each further fifteen (F205)', async () => {
  const { send, read, clock } = open()
  send('<a>')
  await read()
  const first = read()
  await clock.advance(pingAfterMs)
  assert.equal(await first, pingEvent)
  const second = read()
  await clock.advance(pingAfterMs)
  assert.equal(await second, pingEvent)
  const third = read()
  send('<b>')
  assert.equal(await third, '<b>')
})

test('relay: a ping is sent before the first event, too (F205)', async () => {
  const { send, read, clock } = open()
  const first = read()
  await clock.advance(pingAfterMs - 1)
  send('x')
  await clock.advance(1)
  assert.equal(await first, pingEvent)
  send('<a>')
  assert.equal(await read(), 'x<a>')
})

test('relay: silence is counted from the last bytes sent', async () => {
  const { send, read, clock } = open()
  await clock.advance(10_000)
  send('<a>')
  assert.equal(await read(), '<a>')
  let answered = false
  const next = read().finally(() => (answered = true))
  await clock.advance(14_999)
  assert.equal(answered, false)
  await clock.advance(1)
  assert.equal(await next, pingEvent)
})

test('relay: a reader that does not read gets no pings', async () => {
  const { send, read, clock, end } = open()
  await clock.advance(10 * pingAfterMs)
  send('<a>')
  end()
  assert.equal(await read(), '<a>')
  assert.equal(await read(), null)
})

test('relay: what came while a ping was on its way is not lost', async () => {
  const { send, read, clock, end } = open()
  const first = read()
  // The stream asks for its first chunk a turn later.
  await clock.advance(0)
  await clock.advance(pingAfterMs)
  assert.equal(await first, pingEvent)
  send('<a>')
  await clock.advance(0)
  send('<b>')
  end()
  assert.equal(await read(), '<a>')
  assert.equal(await read(), '<b>')
  assert.equal(await read(), null)
})

test('relay: events in front of something broken are sent first, then the stream fails', async () => {
  const { send, read, cancelled } = open()
  send('<a>!')
  assert.equal(await read(), '<a>')
  await assert.rejects(read(), /a mark/)
  assert.ok(cancelled() instanceof UpstreamBroke)
})

test('relay: a failure is told at once though the body stays open', async () => {
  const { send, read, cancelled } = open()
  const next = read()
  send('!')
  await assert.rejects(next, UpstreamBroke)
  assert.ok(cancelled() instanceof UpstreamBroke)
})

test("relay: an end inside an event is the decoder's to judge", async () => {
  const { send, read, end } = open()
  send('<a>')
  assert.equal(await read(), '<a>')
  send('<b')
  end()
  await assert.rejects(read(), /half a bracket/)
})

test('relay: a body that is cut fails with what cut it', async () => {
  const { send, read, cut } = open()
  send('<a>')
  assert.equal(await read(), '<a>')
  const next = read()
  cut(new UpstreamBroke('ECONNRESET'))
  await assert.rejects(next, /ECONNRESET/)
})

test('relay: cancelling cancels the body and stops the pings', async () => {
  const { reader, clock, cancelled, read } = open()
  const next = read()
  await reader.cancel(new ClientGone())
  assert.ok(cancelled() instanceof ClientGone)
  await clock.advance(10 * pingAfterMs)
  assert.equal(await next, null)
})

test('relay: nothing is read ahead of the reader', async () => {
  let pulls = 0
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulls++
        controller.enqueue(Buffer.from('<a>'))
      },
    },
    { highWaterMark: 0 },
  )
  const reader = relayEvents(body, createBrackets(), createFakeClock()).getReader()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(pulls, 0)
  await reader.read()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(pulls, 1)
})
