/**
 * What the fake upstream answers, byte for byte. `upstream.ts` writes it and `client.ts` compares
 * what arrives with it, so both build it from the same script. Each reply carries the nonce of
 * its request: two streams that got mixed up inside a gateway don't pass for whole ones.
 */

export interface Script {
  /** A stream of server-sent events, or one JSON document. */
  readonly kind: 'stream' | 'json'
  /** Events of a stream, all kinds counted; at least 7. */
  readonly events: number
  /** Between two events; 0 writes all of them in one tick. */
  readonly gapMs: number
  /** `each`: every event its own HTTP chunk. `joined`: the whole burst as one chunk. */
  readonly chunks: 'each' | 'joined'
}

/** Hexadecimal digits, so that it has one width and needs no escaping anywhere. */
export const nonceLength = 8

/** Stands in for the nonce until a request brings its own. */
const noNonce = '0'.repeat(nonceLength)

/** What marks the nonce in a request's body. */
const requestMark = '"user_id":"bench-'

export const model = 'claude-sonnet-4-6'

/** The reply in the pieces it is written in; the nonce is in the first piece. */
export function buildReply(script: Script): Buffer[] {
  if (script.kind === 'json') return [Buffer.from(JSON.stringify(message('Hello from the bench.')))]
  const events = [
    event({ type: 'message_start', message: { ...message(), stop_reason: null } }),
    event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    event({ type: 'ping' }),
    ...Array.from({ length: script.events - 6 }, (_, i) =>
      event({
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text: ` word ${i} — and "more"` },
      }),
    ),
    event({ type: 'content_block_stop', index: 0 }),
    event({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: script.events },
    }),
    event({ type: 'message_stop' }),
  ]
  if (script.chunks === 'each') return events.map((text) => Buffer.from(text))
  return [Buffer.from(events.join(''))]
}

/** Where the nonce stands in the first piece of a reply. */
export function nonceOffset(piece: Buffer): number {
  return piece.indexOf(`msg_bench_${noNonce}`) + 'msg_bench_'.length
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

export function placeNonce(head: string, nonce: string): string {
  return head.replace(noNonce, nonce)
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

function event(data: { readonly type: string; readonly [key: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
}
