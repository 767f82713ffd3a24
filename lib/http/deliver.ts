/**
 * From a reply to bytes on the connection: the head, then the body as `send.ts` writes it. Knows
 * which replies have no body, when a connection must end, and how a client that is still sending
 * a body nobody wants gets to read its refusal.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { createTapRunner, type Outcome } from '../stream/tap.ts'
import { bodyLength } from './body.ts'
import { describeBug } from './describe-error.ts'
import type { Reply } from './exchange.ts'
import { composeHead } from './head.ts'
import { errorReply } from './reply.ts'
import { type Client, discard, type SendParts, sendStream, sendWhole } from './send.ts'
import type { Watchdog } from './watchdog.ts'

/** How long what a refused client still sends is read and dropped before it is cut off. */
const lingerMs = 30_000

export interface DeliverOptions extends SendParts {
  /** `limits.max_request_bytes`. */
  readonly bodyBytesMax: number
  readonly terminatesTls: boolean
}

export interface Receiver extends Client {
  /** Set before the first byte is written. */
  answering: boolean
  /** Waits for `100 Continue` before it sends the body. */
  readonly awaitsContinue: boolean
}

/**
 * Writes all of `reply`; resolves when it is out or nobody waits for it any more. `closing`: the
 * gateway is shutting down, and connections end after their reply.
 */
export async function deliver(
  reply: Reply,
  receiver: Receiver,
  req: IncomingMessage,
  res: ServerResponse,
  options: DeliverOptions,
  closing: boolean,
): Promise<void> {
  if (receiver.gone !== null) {
    drop(reply, receiver.gone, 'client-gone', options.log)
    return
  }
  receiver.answering = true
  const unwanted = isUnwanted(req, reply, options.bodyBytesMax)
  const closes = closing || unwanted || receiver.awaitsContinue
  const sent = putHead(res, reply, receiver, closes, options)
  const { body } = sent
  if (unwanted && !receiver.awaitsContinue) {
    if (typeof body === 'string') res.write(body)
    await dropRest(req, options.watchdog)
    return sendWhole(res, null, sent, receiver, options)
  }
  if (req.method === 'HEAD' || isBodiless(sent.status)) {
    if (body instanceof ReadableStream) discard(body, undefined)
    return sendWhole(res, null, sent, receiver, options)
  }
  if (body instanceof ReadableStream) return sendStream(res, body, sent, receiver, options)
  return sendWhole(res, body, sent, receiver, options)
}

/** Writes the head; of a 500 instead when `reply` holds a header that cannot be written. */
function putHead(
  res: ServerResponse,
  reply: Reply,
  { requestId }: Receiver,
  closes: boolean,
  { terminatesTls, log }: DeliverOptions,
): Reply {
  const head = (of: Reply): string[] =>
    composeHead(of.headers, {
      requestId,
      hsts: terminatesTls,
      closes,
      contentLength: lengthOf(of),
    })
  try {
    res.writeHead(reply.status, head(reply))
    return reply
  } catch (error) {
    log.error(`unwritable reply request_id=${requestId}: ${describeBug(error)}`)
    drop(reply, error, 'upstream-broke', log)
    const instead = errorReply(new GatewayError('http/internal'), requestId)
    res.writeHead(instead.status, head(instead))
    return instead
  }
}

/** For a reply of which nothing is sent: frees its source and settles its taps. */
function drop({ body, taps = [] }: Reply, reason: unknown, outcome: Outcome, log: Log): void {
  if (body instanceof ReadableStream) discard(body, reason)
  createTapRunner(taps, log).settle(outcome)
}

/** Null when the length is not known or, for a status without a body, not said. */
function lengthOf({ body, status }: Reply): number | null {
  if (body instanceof ReadableStream || isBodiless(status)) return null
  if (body === null) return 0
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length
}

/** RFC 9110 section 6.4.1. */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304
}

/**
 * A body still under way that is too long, without an end in sight, or given up for its slowness.
 * One within the limit is read to its end by node:http, and the connection can be used again.
 */
function isUnwanted(req: IncomingMessage, reply: Reply, bodyBytesMax: number): boolean {
  return !req.complete && (bodyLength(req) > bodyBytesMax || reply.status === 408)
}

/** Reads and drops what the client still sends, so that closing does not reset the reply away. */
function dropRest(req: IncomingMessage, watchdog: Watchdog): Promise<void> {
  return new Promise((resolve) => {
    const wait = watchdog.start(lingerMs, () => req.destroy())
    const over = (): void => {
      watchdog.stop(wait)
      resolve()
    }
    req.once('end', over).once('close', over).resume()
  })
}
