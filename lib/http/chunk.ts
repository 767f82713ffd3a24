/**
 * One chunk of a chunked body (RFC 9112 section 7.1) as one write. node:http makes four of each,
 * gathers them until the tick is over and hands the system a list: for the small events of a paced
 * stream that costs more than reading them. `send.ts` writes all but the first chunk with it.
 */
import type { ServerResponse } from 'node:http'

/** Longer ones are not worth copying: from here on the list is the cheaper way. */
const copiedMaxBytes = 16 * 1024

const carriageReturn = 0x0d
const lineFeed = 0x0a

/**
 * Writes `chunk`, which is not empty, to a reply whose head is out; false when whoever writes
 * should wait for `drain` (of the connection, when the reply has one).
 */
export function writeChunk(res: ServerResponse, chunk: Uint8Array): boolean {
  const { socket } = res
  // A reply behind a pipelined one has no connection yet; one to HTTP/1.0 has no chunks.
  if (!socket?.writable || !res.chunkedEncoding || chunk.length > copiedMaxBytes) {
    return res.write(chunk)
  }
  return socket.write(frame(chunk))
}

function frame(chunk: Uint8Array): Buffer {
  const size = chunk.length.toString(16)
  const start = size.length + 2
  const framed = Buffer.allocUnsafe(start + chunk.length + 2)
  framed.write(size, 'latin1')
  framed[start - 2] = carriageReturn
  framed[start - 1] = lineFeed
  framed.set(chunk, start)
  framed[start + chunk.length] = carriageReturn
  framed[start + chunk.length + 1] = lineFeed
  return framed
}
