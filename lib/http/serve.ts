/**
 * The bridge between node:http and handlers: makes an exchange of each request, runs the edge,
 * hands the reply to `deliver.ts`, turns what was thrown into its wire form. The hot path of the
 * gateway; every request is answered or its connection closed, whatever a handler does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { GatewayError, statusOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Roster } from '../kernel/roster.ts'
import type { ClientAddressReader } from './client-address.ts'
import type { Connection, Connections } from './connection.ts'
import { deliver } from './deliver.ts'
import { describeBug, describeError } from './describe-error.ts'
import type { Edge } from './edge.ts'
import type { Reply } from './exchange.ts'
import { errorReply } from './reply.ts'
import { ServedExchange } from './served-exchange.ts'
import { parseTarget } from './target.ts'
import { headerFieldsMax, refuse, weighHead } from './transport.ts'
import type { Watchdog } from './watchdog.ts'

/**
 * Requests sent ahead on one connection. No client of the protocol pipelines; without a bound
 * one read of 64 KiB could start a thousand handlers.
 */
const pipelinedMax = 16

export interface ServeParts {
  readonly edge: Edge
  readonly clientAddress: ClientAddressReader
  readonly connections: Connections
  readonly watchdog: Watchdog
  readonly clock: Clock
  readonly log: Log
}

export interface ServeOptions {
  /** `limits.max_request_bytes`. */
  readonly bodyBytesMax: number
  readonly terminatesTls: boolean
}

/** Exchanges whose reply is not out yet, and whether connections are to end after theirs. */
export interface Traffic {
  readonly open: Roster<ServedExchange>
  closing: boolean
  /** Called when the last open exchange is over and connections are to end. */
  onQuiet: (() => void) | null
}

/** A request with what is known of it beside its exchange. */
export interface Arrival {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly connection: Connection
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean
}

export type Serve = (arrival: Omit<Arrival, 'connection'>) => void

export function createServe(parts: ServeParts, options: ServeOptions, traffic: Traffic): Serve {
  const delivery = { ...parts, ...options }
  return ({ req, res, expectsContinue }) => {
    const connection = parts.connections.of(req.socket)
    if (req.socket.destroyed || connection.refused) return
    const arrival = { req, res, connection, expectsContinue }
    const exchange = accept(arrival, parts, options)
    if (exchange === null) return
    traffic.open.add(exchange)
    connection.open.push(exchange)
    void answer(exchange, arrival, delivery, traffic) // never rejects
  }
}

/** Null when the request was refused or dropped below HTTP semantics. */
function accept(
  { req, res, connection, expectsContinue }: Arrival,
  { clientAddress, watchdog, clock, log }: ServeParts,
  options: ServeOptions,
): ServedExchange | null {
  const head = weighHead(req.rawHeaders)
  const target = parseTarget(req.url ?? '')
  const tooMany = head.fields > headerFieldsMax
  // HTTP/0.9 has no heads, so a request that says it is of it cannot be trusted to have one.
  if (tooMany || head.hosts !== 1 || target === null || req.httpVersionMajor !== 1) {
    log.debug(`request refused by its head alone client_ip=${connection.peer}`)
    const status = tooMany ? '431 Request Header Fields Too Large' : '400 Bad Request'
    refuse(req.socket, connection, status, watchdog)
    return null
  }
  if (connection.open.length >= pipelinedMax) {
    log.debug(`connection cut: ${pipelinedMax} requests sent ahead client_ip=${connection.peer}`)
    req.socket.destroy()
    return null
  }
  // Says neither `Connection` nor `Keep-Alive`: in HTTP/1.1 a connection persists without.
  res.removeHeader('connection')
  if (req.httpVersionMinor === 0) res.shouldKeepAlive = false
  return new ServedExchange({
    req,
    res,
    target,
    client: clientAddress(connection.peer, joinLines(req.headers['x-forwarded-for'])),
    headBytes: head.bytes,
    startedAt: clock.elapsed(),
    body: { bytesMax: options.bodyBytesMax, watchdog },
    expectsContinue,
  })
}

function joinLines(value: string | string[] | undefined): string | undefined {
  return typeof value === 'object' ? value.join(',') : value
}

async function answer(
  exchange: ServedExchange,
  arrival: Arrival,
  parts: ServeParts & ServeOptions,
  traffic: Traffic,
): Promise<void> {
  const { req, res, connection } = arrival
  try {
    const reply = await ask(parts.edge, exchange, parts.log)
    if (reply === null) req.socket.destroy()
    else await deliver(reply, exchange, req, res, parts, traffic.closing)
  } catch (error) {
    parts.log.error(`reply lost request_id=${exchange.requestId}: ${describeBug(error)}`)
    req.socket.destroy()
  }
  traffic.open.delete(exchange)
  const at = connection.open.indexOf(exchange)
  if (at !== -1) connection.open.splice(at, 1)
  if (!traffic.closing) return
  // A head that left before closing began had promised to keep the connection.
  if (connection.open.length === 0) req.socket.destroySoon()
  if (traffic.open.size === 0) traffic.onQuiet?.()
}

/** The reply of the edge, or the wire form of what it threw; null when nobody waits for one. */
async function ask(edge: Edge, exchange: ServedExchange, log: Log): Promise<Reply | null> {
  try {
    return await edge(exchange)
  } catch (error) {
    if (error instanceof GatewayError) {
      noteRefusal(error, exchange, log)
      return errorReply(error, exchange.requestId)
    }
    if (exchange.gone !== null) {
      log.debug(`client gone before an answer request_id=${exchange.requestId}`)
      return null
    }
    log.error(`unhandled request_id=${exchange.requestId}: ${describeBug(error)}`)
    return errorReply(new GatewayError('http/internal'), exchange.requestId)
  }
}

/** What the gateway could not do is the operator's concern, what the client did wrong is not. */
function noteRefusal(error: GatewayError, exchange: ServedExchange, log: Log): void {
  const failed = statusOf(error) >= 500
  if (!failed && !log.debugs) return
  const { requestId, clientAddress } = exchange
  const why = error.detail ?? (error.cause === undefined ? '' : describeError(error.cause))
  const line = `${error.code} request_id=${requestId} client_ip=${clientAddress} ${why}`.trimEnd()
  if (failed) log.warn(line)
  else log.debug(line)
}
