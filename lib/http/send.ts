/**
 * Writes the body of a reply and runs its taps: one loop, one place where backpressure, a client
 * that leaves and an upstream that breaks meet. A client sees the head at once, every chunk when
 * it comes, and always knows a cut body from a whole one. What is buffered here is bounded by the
 * socket's high-water mark, and every wait by the stall limit.
 */
import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { ClientGone, DeadlineExceeded, ShuttingDown } from '../kernel/abort.ts'
import type { Log } from '../kernel/log.ts'
import { createTapRunner, type Outcome, type TapRunner } from '../stream/tap.ts'
import { writeChunk } from './chunk.ts'
import { describeError } from './describe-error.ts'
import type { Reply } from './exchange.ts'
import type { Wait, Watchdog } from './watchdog.ts'

/**
 * A client that takes nothing for this long is gone, even if its connection looks alive: a closed
 * laptop or a stopped terminal comes back within minutes or not at all.
 */
const stallMs = 300_000

/** The other end, as `ServedExchange` knows it. */
export interface Client {
  readonly requestId: string
  /** Why nobody waits for the reply any more; null while somebody does. */
  readonly gone: Error | null
  /** Called once when the client goes; belongs to whoever waits at the moment. */
  onGone: ((reason: Error) => void) | null
}

export interface SendParts {
  readonly log: Log
  readonly watchdog: Watchdog
}

/** Sends `body` as the whole body after a head that is written but not out yet. Never rejects. */
export async function sendWhole(
  res: ServerResponse,
  body: string | Uint8Array | null,
  reply: Reply,
  client: Client,
  parts: SendParts,
): Promise<void> {
  const taps = reply.taps && createTapRunner(reply.taps, parts.log)
  if (body !== null) taps?.chunk(typeof body === 'string' ? Buffer.from(body) : body)
  const finished = finish(res, body, client, parts)
  if (client.gone === null) taps?.head()
  taps?.settle((await finished) ? 'complete' : 'client-gone')
}

/** Streams `body` after a head that is written but not out yet. Never rejects. */
export async function sendStream(
  res: ServerResponse,
  body: ReadableStream<Uint8Array>,
  reply: Reply,
  client: Client,
  parts: SendParts,
): Promise<void> {
  const taps = createTapRunner(reply.taps ?? [], parts.log)
  const broken = await pump(res, body, taps, client, parts)
  if (broken === null) {
    const finished = finish(res, null, client, parts)
    if (client.gone === null) taps.head()
    taps.settle((await finished) ? 'complete' : 'client-gone')
  } else {
    if (client.gone === null) await breakOff(res, broken, reply, client, parts)
    taps.settle(outcomeOf(broken))
  }
}

/** Gives up a body nobody will be sent, with why. */
export function discard(body: ReadableStream<Uint8Array>, reason: unknown): void {
  // A source that fails while being cancelled has nobody left to tell.
  body.cancel(reason).catch(() => {})
}

/** Null when the body ended by itself, else why it did not; `client.gone` when that is why. */
async function pump(
  res: ServerResponse,
  body: ReadableStream<Uint8Array>,
  taps: TapRunner,
  client: Client,
  parts: SendParts,
): Promise<unknown> {
  const reader = body.getReader()
  let wake: (() => void) | null = null
  const giveUp = (reason: unknown): void => {
    wake?.()
    // A source that fails while being cancelled has nobody left to tell.
    reader.cancel(reason).catch(() => {})
  }
  client.onGone = giveUp
  if (client.gone !== null) giveUp(client.gone)
  // Bytes that are there already leave in one write with the head, which waits for no others.
  let flushing: NodeJS.Immediate | null = setImmediate(() => {
    flushing = null
    if (client.gone !== null) return
    res.flushHeaders()
    taps.head()
  })
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (client.gone !== null) return client.gone
      if (done) return null
      if (value.length === 0) continue
      taps.chunk(value)
      let hasRoom: boolean
      if (flushing === null) {
        hasRoom = writeChunk(res, value)
      } else {
        clearImmediate(flushing)
        flushing = null
        hasRoom = res.write(value)
        taps.head()
      }
      if (hasRoom) continue
      await new Promise<void>((resolve) => {
        wake = waitForDrain(res, resolve, client, parts)
      })
      wake = null
    }
  } catch (error) {
    giveUp(error)
    return client.gone ?? error
  } finally {
    client.onGone = null
    if (flushing !== null) clearImmediate(flushing)
  }
}

/** Calls `resume` once, on drain or when the returned function is called; bounded by a stall. */
function waitForDrain(
  res: ServerResponse,
  resume: () => void,
  client: Client,
  parts: SendParts,
): () => void {
  // Of a reply that has its connection, the connection's: `res` knows only of its own writes.
  const draining = res.socket ?? res
  const over = (): void => {
    parts.watchdog.stop(wait)
    draining.off('drain', over)
    resume()
  }
  const wait = boundStall(res, client, parts)
  draining.on('drain', over)
  return over
}

/** Closes the connection, and with it every wait on it, when the client takes nothing any more. */
function boundStall(res: ServerResponse, client: Client, { log, watchdog }: SendParts): Wait {
  return watchdog.start(stallMs, () => {
    log.debug(`client took nothing for ${stallMs / 1000} s request_id=${client.requestId}`)
    res.req.socket.destroy()
  })
}

/** Ends the reply with `last`; true once all of it is with the system, false with the client gone. */
function finish(
  res: ServerResponse,
  last: string | Uint8Array | null,
  client: Client,
  parts: SendParts,
): Promise<boolean> {
  if (client.gone !== null) return Promise.resolve(false)
  return new Promise((resolve) => {
    const wait = boundStall(res, client, parts)
    const settle = (out: boolean): void => {
      parts.watchdog.stop(wait)
      client.onGone = null
      resolve(out)
    }
    // Assigned as a literal, V8 would make it an old object that keeps the whole request alive.
    const leave = (): void => settle(false)
    client.onGone = leave
    // Called with an error when the connection closed over bytes still waiting.
    const onEnd = (error?: Error | null): void => settle(!error)
    if (last === null) res.end(onEnd)
    else res.end(last, onEnd)
  })
}

/** A body that broke ends with the reply's last words, or visibly cut. */
async function breakOff(
  res: ServerResponse,
  reason: unknown,
  reply: Reply,
  client: Client,
  parts: SendParts,
): Promise<void> {
  // Who gives last words knows more of what broke, and says it.
  if (reply.breakOff === undefined) {
    parts.log.warn(`response broke off request_id=${client.requestId}: ${describeError(reason)}`)
  }
  const last = lastWords(reply, reason, parts.log)
  if (last === null) await cut(res, client, parts)
  else await finish(res, last, client, parts)
}

function lastWords(reply: Reply, reason: unknown, log: Log): string | null {
  try {
    return reply.breakOff?.(reason) ?? null
  } catch (error) {
    log.error(`no last words for a broken response: ${describeError(error)}`)
    return null
  }
}

/** Closes without the final chunk, after what was written has left: the client sees a cut body. */
function cut(res: ServerResponse, client: Client, parts: SendParts): Promise<void> {
  const { socket } = res.req
  // Behind a pipelined reply that is not out yet there is no way to end this one alone.
  if (res.socket === null) socket.destroy()
  if (socket.destroyed) return Promise.resolve()
  res.flushHeaders()
  return new Promise((resolve) => {
    const wait = boundStall(res, client, parts)
    socket.once('close', () => {
      parts.watchdog.stop(wait)
      resolve()
    })
    // Without chunks (HTTP/1.0) an orderly close would mean a whole body; a reset cannot.
    if (res.chunkedEncoding || socket instanceof TLSSocket) socket.destroySoon()
    else socket.resetAndDestroy()
  })
}

/** Read off the reason, never guessed. */
function outcomeOf(reason: unknown): Outcome {
  if (reason instanceof ClientGone || reason instanceof ShuttingDown) return 'client-gone'
  return reason instanceof DeadlineExceeded ? 'timeout' : 'upstream-broke'
}
