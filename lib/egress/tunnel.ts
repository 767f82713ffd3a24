/**
 * A connection through a forward proxy: CONNECT (RFC 9110 section 9.3.6) and what can go wrong
 * with it, each in words an operator can act on. Used by the connector for every origin behind a
 * proxy, plain http too. It must never put a proxy's credentials into an error.
 */
import { request as requestPlain, type RequestOptions } from 'node:http'
import { request as requestSecure } from 'node:https'
import { isIPv6, Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import { describeFailure } from './describe-failure.ts'
import type { ForwardProxy } from './proxy-environment.ts'

/** The proxy could not be reached, or would not connect to the origin. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure'
  readonly code = 'EPROXY'
  /** What the proxy answered; null: it did not. */
  readonly status: number | null

  constructor(message: string, status: number | null) {
    super(message)
    this.status = status
  }
}

/**
 * From the first packet to the proxy until its answer, its own connection to the origin included:
 * less than the ten seconds of a sign-in, so that its failure names the proxy.
 */
const tunnelTimeoutMs = 8_000

/** An answer to CONNECT is a status line and a few fields. */
const answerHeadMaxBytes = 16 * 1024

/** Until TCP looks whether the peer of a silent connection still exists; as for direct ones. */
const tcpKeepAliveMs = 60_000

/** Opens a tunnel to `host`, a name or an address without brackets. Rejects with `ProxyFailure`. */
export function openTunnel(
  proxy: ForwardProxy,
  { host, port }: { readonly host: string; readonly port: number },
  clock: Clock,
): Promise<Socket> {
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const ask = proxy.secure ? requestSecure : requestPlain
    const request = ask(connectRequest(proxy, authority))
    const fail = (what: string, status: number | null): void => {
      timer.cancel()
      request.destroy()
      reject(new ProxyFailure(`the proxy ${proxy.label} ${what}`, status))
    }
    const timer = clock.after(tunnelTimeoutMs, () =>
      fail(`did not connect to ${authority} within ${tunnelTimeoutMs} ms`, null),
    )
    request.once('connect', ({ statusCode = 0 }, socket, early) => {
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy()
        fail(`${refusal(statusCode)} (CONNECT ${authority})`, statusCode)
      } else if (!(socket instanceof Socket) || early.length > 0) {
        socket.destroy()
        // Servers of HTTP and TLS speak second: this is a proxy that answers CONNECT with a page.
        fail(`sent something else than a connection to ${authority}`, statusCode)
      } else {
        timer.cancel()
        socket.setNoDelay(true).setKeepAlive(true, tcpKeepAliveMs)
        resolve(socket)
      }
    })
    // Errors after the first are consequences of it.
    request.on('error', (error) =>
      fail(`failed to connect to ${authority}: ${describeFailure(error)}`, null),
    )
    request.end()
  })
}

function connectRequest(proxy: ForwardProxy, authority: string): RequestOptions {
  const { host, port, authorization } = proxy
  return {
    host,
    port,
    method: 'CONNECT',
    path: authority,
    headers: {
      host: authority,
      ...(authorization === null ? {} : { 'proxy-authorization': authorization }),
      'proxy-connection': 'keep-alive',
      connection: 'keep-alive',
    },
    // A connection of its own: it becomes the tunnel.
    agent: false,
    maxHeaderSize: answerHeadMaxBytes,
  }
}

function refusal(status: number): string {
  switch (status) {
    case 407:
      return 'wants other credentials than its variable has: 407'
    case 403:
      return 'does not allow this connection: 403'
    default:
      return `refused the connection: ${status}`
  }
}
