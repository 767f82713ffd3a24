/**
 * A real forward proxy: answers CONNECT by connecting, and notes what it was asked. It can demand
 * credentials, refuse, answer nothing, cut, or send names where a spec wants them.
 */
import { once } from 'node:events'
import { createServer as createPlain, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

export interface ForwardProxyOptions {
  /** Speaks TLS to its clients. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** `user:password`; anything else is answered with 407. */
  readonly credentials?: string
  /** What to do with a target; connects when absent or when it returns null. */
  readonly answer?: (target: string) => number | 'hang' | 'cut' | 'page' | null
  /** Where a target leads; itself when absent. */
  readonly resolve?: (target: string) => { readonly host: string; readonly port: number }
}

export interface ForwardProxy {
  /** Without credentials. */
  readonly url: string
  readonly port: number
  /** `host:port` of every CONNECT, refused ones included. */
  readonly targets: readonly string[]
  /** Methods other than CONNECT that reached it. */
  readonly others: readonly string[]
  /** Headers of every CONNECT. */
  readonly headers: readonly IncomingMessage['headers'][]
  close(): Promise<void>
}

export async function createForwardProxy(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const targets: string[] = []
  const others: string[] = []
  const headers: IncomingMessage['headers'][] = []
  const sockets = new Set<Duplex>()
  const server: Server = options.tls ? createSecure(options.tls) : createPlain()
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    others.push(`${request.method} ${request.url}`)
    response.writeHead(405).end()
  })
  server.on('connect', (request: IncomingMessage, client: Duplex) => {
    const target = request.url ?? ''
    targets.push(target)
    headers.push(request.headers)
    client.on('error', () => client.destroy())
    const wanted = options.credentials
    const given = request.headers['proxy-authorization']
    const refuse = (status: number): void =>
      void client.end(`HTTP/1.1 ${status} No\r\nProxy-Authenticate: Basic realm="p"\r\n\r\n`)
    if (wanted !== undefined && given !== `Basic ${Buffer.from(wanted).toString('base64')}`) {
      refuse(407)
      return
    }
    const answer = options.answer?.(target) ?? null
    if (typeof answer === 'number') refuse(answer)
    else if (answer === 'cut') client.destroy()
    else if (answer === 'page') client.end('HTTP/1.1 200 OK\r\n\r\n<html>please log in</html>')
    else if (answer === null) relay(client, options.resolve?.(target) ?? split(target))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { port } = address
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    targets,
    others,
    headers,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function split(target: string): { host: string; port: number } {
  const at = target.lastIndexOf(':')
  return { host: target.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(target.slice(at + 1)) }
}

function relay(client: Duplex, { host, port }: { host: string; port: number }): void {
  const origin = connect({ host, port })
  origin.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
  origin.on('connect', () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    client.pipe(origin).pipe(client)
  })
  client.on('close', () => origin.destroy())
  origin.on('close', () => client.end())
}
