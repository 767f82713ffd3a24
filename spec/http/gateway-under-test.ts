/**
 * The whole edge on a real port, with routes and limits a spec chooses, and raw sockets to speak
 * to it: what no HTTP client would send can be sent, and what arrives is seen byte by byte.
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { createAccessControl, createPublicClientNotice } from '../../lib/http/access-control.ts'
import { createClientAddressReader } from '../../lib/http/client-address.ts'
import { createEdge } from '../../lib/http/edge.ts'
import type { Handler } from '../../lib/http/exchange.ts'
import { createReadyz, handleHealthz } from '../../lib/http/health.ts'
import { createLimitCheck, type LimitOptions } from '../../lib/http/limits.ts'
import type { Certificate } from '../../lib/http/node-server.ts'
import { createRouter, type Route } from '../../lib/http/router.ts'
import { createServer, type GatewayServer } from '../../lib/http/server.ts'
import type { Caller } from '../../lib/kernel/caller.ts'
import { type Clock, systemClock } from '../../lib/kernel/clock.ts'
import { fail } from '../../lib/kernel/errors.ts'
import { createLog } from '../../lib/kernel/log.ts'

export interface GatewayUnderTest {
  readonly port: number
  readonly server: GatewayServer
  /** Everything logged so far. */
  readonly lines: string[]
  /** Audit lines so far, parsed, without their time. */
  readonly audits: () => Record<string, unknown>[]
}

export interface GatewaySettings {
  readonly routes?: readonly Route[]
  readonly limits?: Partial<LimitOptions>
  readonly allow_cidrs?: readonly string[]
  readonly deny_cidrs?: readonly string[]
  readonly trusted_proxies?: readonly string[]
  readonly clock?: Clock
  readonly tls?: Certificate
  readonly host?: string
  readonly port?: number
}

const caller: Caller = {
  sub: 'u-alice',
  email: 'alice@example.com',
  name: undefined,
  groups: [],
  expiresAt: 0,
}

/** Accepts `Bearer good`, answers `/healthz` and `/readyz`, and runs `body` against all of it. */
export async function withGateway(
  settings: GatewaySettings,
  body: (gateway: GatewayUnderTest) => Promise<void>,
): Promise<void> {
  const lines: string[] = []
  const { log, audit } = createLog('debug', (line) => lines.push(line), systemClock)
  const limits = { max_request_bytes: 33_554_432, ...settings.limits }
  const access = { allow_cidrs: [], deny_cidrs: [], ...settings }
  const readiness = (): string | null => (server.draining ? 'shutting down' : null)
  const routes: Route[] = [
    { access: 'health', method: 'GET+HEAD', path: '/healthz', handle: handleHealthz },
    { access: 'health', method: 'GET+HEAD', path: '/readyz', handle: createReadyz(readiness) },
    ...(settings.routes ?? []),
  ]
  const edge = createEdge({
    router: createRouter(routes),
    access: createAccessControl(access, audit),
    noticePublicClient: createPublicClientNotice(audit, log),
    checkLimits: createLimitCheck(limits),
    authenticate: (exchange) =>
      exchange.headers.authorization === 'Bearer good' ? caller : fail('session/invalid-token'),
  })
  const server = createServer(
    {
      edge,
      clientAddress: createClientAddressReader(settings.trusted_proxies ?? [], log),
      clock: settings.clock ?? systemClock,
      log,
    },
    {
      host: settings.host ?? '127.0.0.1',
      port: settings.port ?? 0,
      tls: settings.tls,
      bodyBytesMax: limits.max_request_bytes,
    },
  )
  const port = await server.listen()
  const audits = (): Record<string, unknown>[] =>
    lines
      .filter((line) => line.startsWith('{'))
      .map((line) => {
        const { ts: _, ...fields } = asRecord(JSON.parse(line))
        return fields
      })
  try {
    await body({ port, server, lines, audits })
  } finally {
    server.cut()
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null)
  return { ...value }
}

/** One open route for what a handler does. */
export function openRoute(path: string, handle: Handler): Route {
  return { access: 'open', method: 'ANY', path, handle }
}

/** Sends `text` on a connection of its own and resolves with all that comes until it closes. */
export async function send(port: number, text: string | Uint8Array): Promise<string> {
  const wire = await open(port)
  wire.socket.write(text)
  return wire.rest()
}

/** A GET with the headers given, on a connection that closes after it. */
export function get(port: number, path: string, ...headers: string[]): Promise<string> {
  return send(port, request('GET', path, ...headers, 'Connection: close'))
}

/** A request head; `Host` is added. */
export function request(method: string, path: string, ...headers: string[]): string {
  return `${[`${method} ${path} HTTP/1.1`, 'Host: gateway.test', ...headers].join('\r\n')}\r\n\r\n`
}

export interface Wire {
  readonly socket: Socket
  /** All received so far, as Latin-1. */
  received(): string
  /** Resolves once what was received contains `text`. */
  until(text: string): Promise<string>
  /** Resolves with everything received once the connection is closed. */
  rest(): Promise<string>
}

/** Longest wait of a spec for something to arrive; far beyond what a busy machine needs. */
const patienceMs = 20_000

export async function open(port: number): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1' })
  let received = ''
  let closed = false
  let notify = (): void => {}
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
    notify()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    notify()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const waitFor = (holds: () => boolean, what: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no ${what} after ${JSON.stringify(received)}`)),
        patienceMs,
      )
      const check = (): void => {
        if (!holds() && !closed) return
        clearTimeout(timer)
        if (holds()) resolve(received)
        else reject(new Error(`closed before ${what}: ${JSON.stringify(received)}`))
      }
      notify = check
      check()
    })
  return {
    socket,
    received: () => received,
    until: (text) => waitFor(() => received.includes(text), text),
    rest: () => waitFor(() => closed, 'close'),
  }
}

/** Status, headers in order, and body of the last reply in `text`. */
export function parseReply(text: string): {
  readonly status: number
  readonly headers: [string, string][]
  readonly body: string
} {
  const end = text.indexOf('\r\n\r\n')
  const [line = '', ...fields] = text.slice(0, end).split('\r\n')
  return {
    status: Number(line.split(' ')[1]),
    headers: fields.map((field): [string, string] => {
      const colon = field.indexOf(': ')
      return [field.slice(0, colon), field.slice(colon + 2)]
    }),
    body: text.slice(end + 4),
  }
}

/** Waits until `holds`, for what has no event to wait for. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  const giveUpAt = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
