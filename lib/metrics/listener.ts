/**
 * The listener that Prometheus scrapes: its own port, so that the numbers are never on the public
 * one. Answers GET and HEAD on one path and nothing else. A number that cannot be had fails the
 * scrape, never the gateway.
 */
import { createServer, type Server } from 'node:http'
import { messageOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'

export interface MetricsListener {
  /** Resolves with the port; rejects, with a message for the operator, when it is taken. */
  listen(): Promise<number>
  close(): Promise<void>
}

export interface MetricsListenerConfig {
  readonly host: string
  readonly port: number
  readonly path: string
}

/** A scraper asks every few seconds over one connection; more than this is somebody else. */
const connectionsMax = 32
/** Of a scraper that sends its request slowly. */
const requestTimeoutMs = 10_000

export function createMetricsListener(
  { host, port, path }: MetricsListenerConfig,
  text: () => string,
  log: Log,
): MetricsListener {
  const read = (): string | null => {
    try {
      return text()
    } catch (error) {
      log.error(`extensions.metrics: a scrape failed: ${messageOf(error)}`)
      return null
    }
  }
  const server = createServer((req, res) => {
    const isKnown = (req.url ?? '').split('?')[0] === path
    const isAllowed = req.method === 'GET' || req.method === 'HEAD'
    if (!isKnown || !isAllowed) {
      res.writeHead(isKnown ? 405 : 404, { 'content-type': 'text/plain' }).end()
      return
    }
    const body = read()
    if (body === null) {
      res.writeHead(500, { 'content-type': 'text/plain' }).end()
      return
    }
    res.writeHead(200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    })
    res.end(req.method === 'HEAD' ? undefined : body)
  })
  server.maxConnections = connectionsMax
  server.requestTimeout = requestTimeoutMs
  server.headersTimeout = requestTimeoutMs
  return {
    listen: () => bind(server, host, port),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`extensions.metrics: cannot listen on ${host}:${port}: ${error.code}`)),
    )
    server.listen(port, host, () => {
      const address = server.address()
      // Scrapes never keep a process alive that has nothing else to do.
      server.unref()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
