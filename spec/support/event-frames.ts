/**
 * Frames as Amazon Bedrock streams them, encoded by AWS's own codec: what lib decodes with code of
 * its own is checked against it.
 */
import { EventStreamCodec } from '@smithy/eventstream-codec'

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(typeof bytes === 'string' ? bytes : Buffer.from(bytes)).toString(),
  (text) => Buffer.from(text),
)

/** A frame with text headers. */
export function frame(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const encoded = Object.entries(headers).map(
    ([name, value]) => [name, { type: 'string' as const, value }] as const,
  )
  return Buffer.from(
    codec.encode({ headers: Object.fromEntries(encoded), body: Buffer.from(payload) }),
  )
}

/** A chunk with one event of the Messages API, padded as Bedrock pads. */
export function chunkFrame(event: unknown): Buffer {
  const text = typeof event === 'string' ? event : JSON.stringify(event)
  const bytes = Buffer.from(text).toString('base64')
  return frame(
    {
      ':event-type': 'chunk',
      ':content-type': 'application/json',
      ':message-type': 'event',
    },
    JSON.stringify({ bytes, p: 'abcdefghijklmnop'.slice(text.length % 16) }),
  )
}

export function exceptionFrame(type: string, payload: string): Buffer {
  return frame(
    {
      ':exception-type': type,
      ':content-type': 'application/json',
      ':message-type': 'exception',
    },
    payload,
  )
}

export function errorFrame(code: string, message: string): Buffer {
  return frame({ ':error-code': code, ':error-message': message, ':message-type': 'error' }, '')
}

/** A streamed message of one text, frame by frame. */
export function messageFrames(text: string): Buffer[] {
  const usage = { input_tokens: 10, output_tokens: 1 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', content: [], usage }
  return [
    { type: 'message_start', message },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ].map((event) => chunkFrame(event))
}
