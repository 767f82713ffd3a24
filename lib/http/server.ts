/**
 * The gateway's listener, put together: node's server, the request bridge, what happens to
 * connections that speak no HTTP, and the ways it ends. It never touches the process: signals and
 * exit codes are bin's.
 */
import type { Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import { Socket } from 'node:net'
import type { Log } from '../kernel/log.ts'
import { createRoster } from '../kernel/roster.ts'
import { type Connections, createConnections } from './connection.ts'
import { bind, type Certificate, createNodeServer, secureOptions } from './node-server.ts'
import { createServe, type ServeParts, type Traffic } from './serve.ts'
import { createShutdown } from './shutdown.ts'
import { bareStatusOf, refuse } from './transport.ts'
import { createWatchdog, type Watchdog } from './watchdog.ts'

export interface ServerOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Serves HTTPS when present. */
  readonly tls?: Certificate | undefined
  /** `limits.max_request_bytes`. */
  readonly bodyBytesMax: number
}

export type ServerParts = Omit<ServeParts, 'connections' | 'watchdog'>

export interface GatewayServer {
  /** Binds; resolves with the port. Rejects, with a message for the operator, when it cannot. */
  listen(): Promise<number>
  /** Requests whose reply is not out yet. */
  readonly openRequests: number
  /** True from the start of `drain` or `cut` on; `/readyz` says so. */
  readonly draining: boolean
  /**
   * Stops listening at once, gives idle connections a second in which probes hear that the
   * gateway is leaving, and waits for open requests, at most `windowMs`. Resolves with the number
   * of requests cut because the window was over, all connections closed.
   */
  drain(windowMs: number): Promise<number>
  /** Closes everything now; returns the number of requests cut. Ends a running `drain`. */
  cut(): number
  /** For TLS connections made from here on. Throws when certificate and key do not fit. */
  setCertificate(certificate: Certificate): void
}

export function createServer(parts: ServerParts, options: ServerOptions): GatewayServer {
  const { clock, log } = parts
  const watchdog = createWatchdog(clock)
  const connections = createConnections()
  const sockets = new Set<Socket>()
  const traffic: Traffic = { open: createRoster(), closing: false, onQuiet: null }
  const serve = createServe(
    { ...parts, connections, watchdog },
    {
      // Asked for each request: it may change while the server runs.
      get bodyBytesMax() {
        return options.bodyBytesMax
      },
      terminatesTls: options.tls !== undefined,
    },
    traffic,
  )
  const server = createNodeServer(serve, options.tls)
  keepTrack(server, sockets)
  turnAwayStrangers(server, connections, watchdog, log)
  // Accepting can fail while others are served (EMFILE); unhandled it would end the process.
  const onError = (error: Error): void => log.error(`listener: ${error.message}`)
  const shutdown = createShutdown({ server, sockets, connections, traffic, clock })
  server.once('close', () => watchdog.close())
  return {
    async listen() {
      const port = await bind(server, options.host, options.port)
      server.on('error', onError)
      return port
    },
    get openRequests() {
      return traffic.open.size
    },
    get draining() {
      return traffic.closing
    },
    drain: (windowMs) => shutdown.drain(windowMs),
    cut: () => shutdown.cut(),
    setCertificate(certificate) {
      if (server instanceof HttpsServer) server.setSecureContext(secureOptions(certificate))
    },
  }
}

function keepTrack(server: HttpServer, sockets: Set<Socket>): void {
  server.on('connection', (socket) => {
    if (!(socket instanceof Socket)) return
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}

/** Connections that speak no HTTP, speak it wrongly, or speak too slowly. */
function turnAwayStrangers(
  server: HttpServer,
  connections: Connections,
  watchdog: Watchdog,
  log: Log,
): void {
  const turnAway = (socket: unknown, code: string): void => {
    if (!(socket instanceof Socket)) return
    const connection = connections.of(socket)
    const status = bareStatusOf(code, socket.bytesRead)
    log.debug(`request not understood (${code}) client_ip=${connection.peer}`)
    if (status === null) socket.destroy()
    else refuse(socket, connection, status, watchdog)
  }
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    turnAway(socket, error.code ?? error.name)
  })
  // Leaving HTTP is no part of the protocol; node:http hands the bare socket over.
  server.on('connect', (_req, socket) => {
    socket.on('error', () => socket.destroy())
    turnAway(socket, 'HPE_CONNECT')
  })
  server.on('drop', (dropped) => {
    log.debug(`connection dropped, too many are open client_ip=${dropped?.remoteAddress}`)
  })
}
