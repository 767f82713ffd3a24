/**
 * Normalises the server-sent events of a cloud provider: the six message events pass in one exact
 * framing, pings, comments, unknown events and a half event at the end do not, and an `error`
 * event breaks the stream, because its text is the provider's. Given to `relayEvents`.
 */
import { UpstreamBroke } from '../kernel/abort.ts'
import { type EventDecoder, messageEvents } from './relay.ts'
import { createSseScanner } from './sse.ts'

/**
 * Most data of one event. Search results and files come in one piece of some megabytes at most;
 * more is broken or hostile, and every open stream may hold as much.
 */
const eventMaxBytes = 16 * 1024 * 1024

/** A decoder of one `text/event-stream` body. */
export function createSseRelay(): EventDecoder {
  let events = ''
  let failure: UpstreamBroke | null = null
  const take = (type: string, data: Uint8Array | null): void => {
    if (failure !== null) return
    if (type === 'error') failure = new UpstreamBroke(describe(data))
    else if (messageEvents.has(type)) {
      const frame = reframe(type, data)
      if (typeof frame === 'string') events += frame
      else failure = frame
    }
  }
  const scanner = createSseScanner(
    {
      // The type may stand behind the data.
      wants: (type) => type === '' || type === 'error' || messageEvents.has(type),
      event: take,
    },
    eventMaxBytes,
  )
  return {
    push(chunk) {
      scanner.push(chunk)
      const ready = events
      events = ''
      return ready
    },
    // Half an event is none: clients would drop it, too.
    end() {},
    failure: () => failure,
  }
}

function reframe(type: string, data: Uint8Array | null): string | UpstreamBroke {
  if (data === null) return new UpstreamBroke(`an event has more than ${eventMaxBytes} bytes`)
  try {
    const parsed: unknown = JSON.parse(textOf(data))
    return `event: ${type}\ndata: ${JSON.stringify(parsed)}\n\n`
  } catch {
    // The parser's message quotes the data, which may be a completion: it is not for the log.
    return new UpstreamBroke(`the data of a ${type} event is no JSON`)
  }
}

/** For the operator's log, whose lines are cut and escaped there. */
function describe(data: Uint8Array | null): string {
  return data === null ? 'an error event too large to be read' : textOf(data)
}

function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString()
}
