/**
 * The node:http(s) server with every bound of the transport, and binding it. Nothing of a
 * request's meaning is decided here.
 */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions as TlsOptions } from 'node:https'
import { headBytesMax } from './limits.ts'
import type { Serve } from './serve.ts'
import { headerFieldsMax } from './transport.ts'

/** A head fits into a few packets; 30 s covers retransmissions on the worst link. */
const headersTimeoutMs = 30_000
/** A backstop above the ten minutes of `body.ts`, for bodies that no handler reads. */
const requestTimeoutMs = 660_000
/** Longer than the 60 s after which common load balancers give up an idle connection. */
const keepAliveTimeoutMs = 75_000
/** How late the timeouts of head and request may be noticed. */
const checkIntervalMs = 5_000
/** A TLS handshake is a few round trips, like a head. */
const handshakeTimeoutMs = 30_000
/** From here on TCP itself looks whether a silent peer still exists. */
const tcpKeepAliveMs = 60_000
/**
 * Connects that wait while the event loop is busy, as when a whole company comes back at once; the
 * system's own maximum caps it.
 */
const backlog = 4096
/**
 * Open connections. An open stream takes two descriptors and some 50 KiB: this is more than one
 * process can stream well, and less than exhausts it.
 */
const connectionsMax = 10_000

export interface Certificate {
  /** PEM, with the chain. */
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

/** Plain HTTP without a certificate. HTTP/1.1 only, whatever a TLS client offers. */
export function createNodeServer(serve: Serve, certificate: Certificate | undefined): HttpServer {
  const options = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: checkIntervalMs,
    maxHeaderSize: headBytesMax,
    requireHostHeader: false, // `serve.ts` checks it, for HTTP/1.0 too
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
  }
  const server = certificate
    ? createHttpsServer({
        ...options,
        ...secureOptions(certificate),
        handshakeTimeout: handshakeTimeoutMs,
      })
    : createHttpServer(options)
  // One more than is allowed, so that `serve.ts` can tell; node:http drops the rest unread.
  server.maxHeadersCount = headerFieldsMax + 1
  server.maxConnections = connectionsMax
  server.on('request', (req, res) => serve({ req, res, expectsContinue: false }))
  server.on('checkContinue', (req, res) => serve({ req, res, expectsContinue: true }))
  server.on('checkExpectation', (req, res) => serve({ req, res, expectsContinue: false }))
  return server
}

export function secureOptions({ cert, key }: Certificate): TlsOptions {
  return { cert, key, minVersion: 'TLSv1.2' }
}

/** The port bound. Rejects with a message for the operator. */
export function bind(server: HttpServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(new Error(explain(error, host, port), { cause: error }))
    }
    server.once('error', onError)
    // A port that another process listens on is an error: never SO_REUSEPORT.
    server.listen({ host, port, backlog, exclusive: true, reusePort: false }, () => {
      server.off('error', onError)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

const causes: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the port is taken by another process'],
  ['EACCES', 'not permitted to bind this port'],
  ['EADDRNOTAVAIL', 'no such address on this machine'],
  ['ENOTFOUND', 'no such host name'],
])

function explain(
  { code = '', message }: NodeJS.ErrnoException,
  host: string,
  port: number,
): string {
  const cause = causes.get(code)
  return `cannot listen on ${host}:${port}: ${cause === undefined ? message : `${cause} (${code})`}`
}
