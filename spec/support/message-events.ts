/** Events of a streamed message, as an upstream writes them, for specs of what reads them. */

export function event(type: string, data: unknown): string {
  return `event: ${type}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

export function messageStart(usage?: unknown): string {
  const message = { id: 'msg_1', type: 'message', role: 'assistant', content: [], usage }
  return event('message_start', { type: 'message_start', message })
}

export function textDelta(text: string, index = 0): string {
  const delta = { type: 'text_delta', text }
  return event('content_block_delta', { type: 'content_block_delta', index, delta })
}

export function messageDelta(usage?: unknown): string {
  return event('message_delta', {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage,
  })
}

export const messageStop: string = event('message_stop', { type: 'message_stop' })
