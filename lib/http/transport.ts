/**
 * Refusals below HTTP semantics: what the parser will not take, and heads that are well formed
 * but mean nothing or too much. They get a bare status line without the gateway's headers,
 * because nothing in such a request can be relied on, and the connection ends.
 */
import type { Socket } from 'node:net'
import { ClientGone } from '../kernel/abort.ts'
import type { Connection } from './connection.ts'
import type { Watchdog } from './watchdog.ts'

/** Clients send some twenty fields, proxies add ten; a field costs the parser a hundred times its bytes. */
export const headerFieldsMax = 256

/**
 * How long a refused client may go on sending before its connection is cut. Cutting at once would
 * reset the connection under the answer (RFC 9112 section 9.6).
 */
const lingerMs = 5_000

export type BareStatus =
  | '400 Bad Request'
  | '408 Request Timeout'
  | '431 Request Header Fields Too Large'

export interface HeadWeight {
  /** Names, values and four octets per field. */
  readonly bytes: number
  readonly fields: number
  /** `Host` lines; one is right (RFC 9112 section 3.2). */
  readonly hosts: number
}

/** `raw` holds names and values in turn. */
export function weighHead(raw: readonly string[]): HeadWeight {
  let bytes = 2 * raw.length
  let hosts = 0
  for (let at = 0; at < raw.length; at++) {
    const text = raw[at] ?? ''
    bytes += text.length
    if (text.length === 4 && at % 2 === 0 && text.toLowerCase() === 'host') hosts++
  }
  return { bytes, fields: raw.length / 2, hosts }
}

/** Answers with a status line alone and ends the connection; the first refusal is the only one. */
export function refuse(
  socket: Socket,
  connection: Connection,
  status: BareStatus,
  watchdog: Watchdog,
): void {
  if (connection.refused) return
  connection.refused = true
  // Behind a reply that is under way a second status line would be read as its body.
  const [waiting, ...more] = connection.open
  if (waiting?.answering || more.length > 0 || !socket.writable) {
    socket.destroy()
    return
  }
  waiting?.lose(new ClientGone())
  const wait = watchdog.start(lingerMs, () => socket.destroy())
  socket.once('close', () => watchdog.stop(wait))
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
}

/** The refusal for what node:http reports of a connection; null when nobody could read one. */
export function bareStatusOf(code: string, bytesRead: number): BareStatus | null {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large'
  // A connection opened ahead and never used asked for nothing.
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return bytesRead > 0 ? '408 Request Timeout' : null
  return code.startsWith('HPE_') ? '400 Bad Request' : null
}
