/**
 * What the fake upstream answers, byte for byte. `upstream.ts` writes it and `client.ts` compares
 * what arrives with it, so both build it from the same script. Each reply carries the nonce of
 * its request: two streams that got mixed up inside a gateway don't pass for whole ones.
 */
import { chunkFrame } from '../spec/support/event-frames.ts'

export interface Script {
  /** Whose API answers: Bedrock's streams are framed by AWS, and have no pings. */
  readonly provider: 'anthropic' | 'bedrock'
  /** A stream of server-sent events, or one JSON document. */
  readonly kind: 'stream' | 'json'
  /** Events of a stream, all kinds counted; at least 7. */
  readonly events: number
  /** Between two events; 0 writes all of them in one tick. */
  readonly gapMs: number
  /** `each`: every event its own HTTP chunk. `joined`: the whole burst as one chunk. */
  readonly chunks: 'each' | 'joined'
  /** No paced stream ends before so many were open for two seconds; 0 waits for nobody. */
  readonly together: number
}

/** How the events of a stream are wrapped: as clients read them, or as Bedrock sends them. */
export type Framing = 'sse' | 'frames'

/** The pieces in which a reply is written; its nonce is in the first. */
export type Reply = (nonce: string) => Buffer[]

/** Hexadecimal digits, so that it has one width and needs no escaping anywhere. */
export const nonceLength = 8

/** Stands in for the nonce until a request brings its own. */
const noNonce = '0'.repeat(nonceLength)

/** What marks the nonce in a request's body. */
const requestMark = '"user_id":"bench-'

export const model = 'claude-sonnet-4-6'

/** What the upstream of `script` sends, or what a client is to get of it in another framing. */
export function createReply(script: Script, framing: Framing = framingOf(script)): Reply {
  if (script.kind === 'json') {
    const text = JSON.stringify(message('Hello from the bench.'))
    return (nonce) => [Buffer.from(placeNonce(text, nonce))]
  }
  const wrap = framing === 'sse' ? serverSentEvent : (data: Data) => chunkFrame(data.text)
  const [opening, ...others] = buildEvents(script)
  const rest = others.map(wrap)
  return (nonce) => {
    const first = wrap({ ...opening, text: placeNonce(opening.text, nonce) })
    return script.chunks === 'each' ? [first, ...rest] : [Buffer.concat([first, ...rest])]
  }
}

/** What the upstream itself sends. */
export function framingOf({ provider }: Script): Framing {
  return provider === 'bedrock' ? 'frames' : 'sse'
}

interface Data {
  readonly type: string
  readonly text: string
}

function buildEvents({ provider, events }: Script): [Data, ...Data[]] {
  const isBedrock = provider === 'bedrock'
  return [
    data({ type: 'message_start', message: { ...message(), stop_reason: null } }),
    data({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    ...(isBedrock ? [] : [data({ type: 'ping' })]),
    ...Array.from({ length: events - (isBedrock ? 5 : 6) }, (_, i) =>
      data({
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text: ` word ${i} — and "more"` },
      }),
    ),
    data({ type: 'content_block_stop', index: 0 }),
    data({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: events },
    }),
    data({ type: 'message_stop', ...(isBedrock ? { [metricsKey]: metrics } : {}) }),
  ]
}

/** What Bedrock adds to the last event; clients get it too. */
const metricsKey = 'amazon-bedrock-invocationMetrics'
const metrics = {
  inputTokenCount: 25,
  outputTokenCount: 20,
  invocationLatency: 1_234,
  firstByteLatency: 345,
}

function data(event: { readonly type: string; readonly [key: string]: unknown }): Data {
  return { type: event.type, text: JSON.stringify(event) }
}

function serverSentEvent({ type, text }: Data): Buffer {
  return Buffer.from(`event: ${type}\ndata: ${text}\n\n`)
}

/** Prose and source code as a coding assistant sends it: an escape every 25 bytes, some non-ASCII. */
const promptText = `The café's order service answers 500 when a cart is empty. Find out why; keep the tests green.
import { createServer } from 'node:http'
import { priceOf } from "./price.ts"

export function totalOf(cart: readonly Item[]): number {
\tif (cart.length === 0) throw new Error("an empty cart has no total")
\treturn cart.reduce((sum, item) => sum + priceOf(item) * item.count, 0) // cents
}

test('total: three items of two kinds', () => {
  assert.equal(totalOf([{ sku: 'tea', count: 2 }, { sku: 'cake', count: 1 }]), 1150)
})
`

/** A request body of about `bytes` bytes in two parts; the nonce is in the short first one. */
export function buildRequest(bytes: number, streams: boolean): { head: string; tail: Buffer } {
  const head = `{"model":"${model}","metadata":{${requestMark}${noNonce}"},`
  const turn = promptText.repeat(4)
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'Say hello.' }] }]
  const perTurn = Buffer.byteLength(JSON.stringify(turn)) + 60
  for (let size = head.length + 150; size + perTurn <= bytes; size += perTurn) {
    messages.push({
      role: messages.length % 2 === 0 ? 'user' : 'assistant',
      content: [{ type: 'text', text: turn }],
    })
  }
  const rest = JSON.stringify({ max_tokens: 1024, stream: streams, messages })
  return { head, tail: Buffer.from(rest.slice(1)) }
}

/** Puts a nonce where a request's head, or a reply's first event, has room for it. */
export function placeNonce(text: string, nonce: string): string {
  return text.replace(noNonce, nonce)
}

/** The nonce in the first bytes of a request body; undefined when they don't reach that far. */
export function findNonce(start: Buffer): string | undefined {
  const at = start.indexOf(requestMark)
  const end = at + requestMark.length + nonceLength
  if (at === -1 || start.length < end) return undefined
  return start.toString('latin1', end - nonceLength, end)
}

function message(text?: string): Record<string, unknown> {
  return {
    id: `msg_bench_${noNonce}`,
    type: 'message',
    role: 'assistant',
    model,
    content: text === undefined ? [] : [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: {
      input_tokens: 25,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 11,
      output_tokens: 1,
      service_tier: 'standard',
    },
  }
}
