import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCannedMessage, type CannedReply } from '../../lib/upstream/canned-reply.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { readBody } from '../support/ask.ts'

const head = { id: 'msg_1', model: 'claude-sonnet-4-6', inputTokens: 21 }

interface Event {
  readonly type: string
  readonly delta?: { readonly text?: string }
  readonly [key: string]: unknown
}

function parse(text: string): Event[] {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(block)
      assert.ok(match !== null, block)
      const event: Event = JSON.parse(match[2] ?? '')
      assert.equal(event.type, match[1])
      return event
    })
}

async function streamAtOnce(canned: CannedReply): Promise<Event[]> {
  return parse(await readBody(createCannedMessage(createFakeClock(), canned).streamed(head)))
}

function wordsOf(events: readonly Event[]): number {
  return events
    .map(({ delta }) => delta?.text ?? '')
    .join('')
    .trim()
    .split(' ').length
}

test('canned reply: a whole message has the shape, the usage and the length asked for', () => {
  const canned = createCannedMessage(createFakeClock(), { reply_tokens: 100, reply_seconds: 9.5 })
  const message = JSON.parse(Buffer.from(canned.whole(head)).toString())
  assert.equal(message.id, 'msg_1')
  assert.equal(message.model, 'claude-sonnet-4-6')
  assert.equal(message.stop_reason, 'end_turn')
  assert.deepEqual(message.usage, {
    input_tokens: 21,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 100,
  })
  assert.equal(message.content[0].text.trim().split(' ').length, 100)
})

test('canned reply: a streamed message is the events of the Messages API with usage', async () => {
  const events = await streamAtOnce({ reply_tokens: 30, reply_seconds: 0 })
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'message_start',
      'content_block_start',
      ...Array.from({ length: 4 }, () => 'content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  assert.deepEqual(events[0]?.['message'], {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-4-6',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: 21,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 1,
    },
  })
  assert.deepEqual(events.at(-2)?.['usage'], { output_tokens: 30 })
  assert.equal(wordsOf(events), 30)
})

test('canned reply: it starts at once and takes the time asked for', async () => {
  const clock = createFakeClock()
  const canned = createCannedMessage(clock, { reply_tokens: 80, reply_seconds: 10 })
  const reader = canned.streamed(head).getReader()
  const read = async (): Promise<string> =>
    Buffer.from((await reader.read()).value ?? []).toString()
  assert.match(await read(), /^event: message_start\n[^]*content_block_start[^]*\n\n$/)
  for (let second = 1; second <= 10; second++) {
    await clock.advance(999)
    const pending = read()
    await clock.advance(1)
    const text = await pending
    assert.match(text, /^event: content_block_delta\n/, `second ${second}`)
    assert.equal(text.includes('message_stop'), second === 10)
  }
  assert.equal((await reader.read()).done, true)
})

test('canned reply: every length and pace gives exactly its tokens in its time', async () => {
  for (const reply_tokens of [1, 7, 8, 9, 750, 1001, 100_000]) {
    for (const reply_seconds of [0, 0.001, 0.5, 9.5, 600]) {
      const clock = createFakeClock()
      const startedAt = clock.elapsed()
      const canned = createCannedMessage(clock, { reply_tokens, reply_seconds })
      let endedAt = 0
      const text = readBody(canned.streamed(head)).then((whole) => {
        endedAt = clock.elapsed()
        return whole
      })
      await clock.advance(reply_seconds * 1000 + 1)
      const name = `${reply_tokens} tokens in ${reply_seconds} s`
      assert.equal(wordsOf(parse(await text)), reply_tokens, name)
      assert.ok(endedAt - startedAt >= reply_seconds * 1000 - 1, name)
    }
  }
})

test('canned reply: a client that leaves stops the clockwork', async () => {
  const clock = createFakeClock()
  const canned = createCannedMessage(clock, { reply_tokens: 80, reply_seconds: 10 })
  const stream = canned.streamed(head)
  await clock.advance(1_000)
  await stream.cancel()
  // Were the timer still running, it would write to a closed stream and throw here.
  await clock.advance(60_000)
})
