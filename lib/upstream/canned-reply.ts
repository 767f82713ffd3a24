/**
 * The canned message of `load_test_mode`: the Messages API's own events, with usage, at a given
 * size and pace. Asked by `load-test.ts` only; it knows nothing of upstreams or requests.
 */
import type { Clock } from '../kernel/clock.ts'

export interface CannedReply {
  /** Output tokens of every reply, about one word each. */
  readonly reply_tokens: number
  /** How long a streamed reply takes; others come at once. */
  readonly reply_seconds: number
}

/** What differs from reply to reply. */
export interface CannedHead {
  readonly id: string
  readonly model: string
  readonly inputTokens: number
}

export interface CannedMessage {
  /** The message as one JSON text. */
  whole(head: CannedHead): Uint8Array
  /** The message as paced server-sent events. */
  streamed(head: CannedHead): ReadableStream<Uint8Array>
}

/** Words per text delta, about what the API sends at full speed. */
const wordsPerDelta = 8

/** Deltas a second at most: above this a reply is spread over fewer, larger ones. */
const deltasPerSecondMax = 50

const words = 'This reply is canned and stands in for a model while load is tested.'.split(' ')

export function createCannedMessage(clock: Clock, canned: CannedReply): CannedMessage {
  const { reply_tokens, reply_seconds } = canned
  const deltas = createDeltas(canned)
  const closing =
    event('content_block_stop', { index: 0 }) +
    event('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: reply_tokens },
    }) +
    event('message_stop', {})
  return {
    whole(head) {
      const message = {
        ...opening(head),
        content: [{ type: 'text', text: textOf(reply_tokens) }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: usage(head, reply_tokens),
      }
      return Buffer.from(JSON.stringify(message))
    },
    streamed(head) {
      const message = {
        ...opening(head),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: usage(head, 1),
      }
      const first =
        event('message_start', { message }) +
        event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })
      return paced(clock, (reply_seconds * 1000) / deltas.length, first, deltas, closing)
    },
  }
}

function opening({ id, model }: CannedHead): object {
  return { id, type: 'message', role: 'assistant', model }
}

function usage({ inputTokens }: CannedHead, outputTokens: number): object {
  return {
    input_tokens: inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: outputTokens,
  }
}

/** `first` at once, then one of `deltas` each `periodMs`, the last with `closing` behind it. */
function paced(
  clock: Clock,
  periodMs: number,
  first: string,
  deltas: readonly string[],
  closing: string,
): ReadableStream<Uint8Array> {
  let stop = (): void => {}
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (periodMs === 0) {
        controller.enqueue(Buffer.from(first + deltas.join('') + closing))
        controller.close()
        return
      }
      controller.enqueue(Buffer.from(first))
      let sent = 0
      // A reader that lags lets this queue grow to one reply at most.
      const timer = clock.every(periodMs, () => {
        const delta = deltas[sent++] ?? ''
        const last = sent >= deltas.length
        controller.enqueue(Buffer.from(last ? delta + closing : delta))
        if (!last) return
        stop()
        controller.close()
      })
      stop = () => timer.cancel()
    },
    cancel: () => stop(),
  })
}

function createDeltas({ reply_tokens, reply_seconds }: CannedReply): string[] {
  const fluent = Math.ceil(reply_tokens / wordsPerDelta)
  const paceable = Math.max(1, Math.floor(reply_seconds * deltasPerSecondMax))
  const most = reply_seconds === 0 ? fluent : Math.min(fluent, paceable)
  const size = Math.ceil(reply_tokens / most)
  const count = Math.ceil(reply_tokens / size)
  return Array.from({ length: count }, (_, i) => {
    const text = textOf(Math.min(size, reply_tokens - i * size), i * size)
    return event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })
  })
}

function textOf(count: number, from = 0): string {
  return Array.from({ length: count }, (_, i) => `${words[(from + i) % words.length]} `).join('')
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
}
