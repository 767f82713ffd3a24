/**
 * A TCP relay between the code under test and a server, which can refuse, fall silent, cut or delay:
 * outages without touching the server.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scope } from './database.ts'

export interface TcpProxy {
  readonly port: number
  /** `url` with this relay in the place of its host and port. */
  through(url: string): string
  /** Back to normal; bytes held back by `hang` are delivered. */
  forward(): Promise<void>
  /** Connections are accepted and stay open, but no byte moves in either direction. */
  hang(): void
  /** As a middle box that lost its memory: open connections fall silent for good, new ones work. */
  forget(): void
  /** The port is closed and so is every connection. */
  refuse(): Promise<void>
  /** Resets every open connection; new ones work. */
  cut(): void
  /**
   * From now on what arrives waits for as long as this says, in order on each connection: answers
   * of different connections overtake each other. Null: no longer.
   */
  delay(ms: (() => number) | null): void
  /** New connections go to another port of the same host. */
  aim(port: number): void
  readonly connections: number
}

export async function startTcpProxy(
  scope: Scope,
  target: { host: string; port: number },
): Promise<TcpProxy> {
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let silent = false
  let targetPort = target.port
  let delayMs: (() => number) | null = null
  const relay = (from: Socket, to: Socket): void => {
    let before = Promise.resolve()
    let underWay = 0
    const pass = (action: () => void): void => {
      if (delayMs === null && underWay === 0) return action()
      const arrival = performance.now() + (delayMs?.() ?? 0)
      underWay += 1
      before = before.then(async () => {
        await sleep(Math.max(0, arrival - performance.now()))
        underWay -= 1
        if (!to.destroyed) action()
      })
    }
    // Not pipe(): a paused source must stay paused until `forward`.
    from.on('data', (bytes) => pass(() => void to.write(bytes)))
    from.on('end', () => pass(() => void to.end()))
    if (silent) from.pause()
  }
  const listener = createServer((client) => {
    const server = connect({ host: target.host, port: targetPort })
    const pair = { client, server }
    pairs.add(pair)
    const close = (): void => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', close).on('close', close)
    relay(client, server)
    relay(server, client)
  })
  const open = async (port: number): Promise<void> => {
    listener.listen(port, '127.0.0.1')
    await once(listener, 'listening')
  }
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }
  const refuse = async (): Promise<void> => {
    cut()
    if (!listener.listening) return
    const closed = once(listener, 'close')
    listener.close()
    await closed
  }
  const pauseAll = (): void => {
    for (const { client, server } of pairs) {
      client.pause()
      server.pause()
    }
  }
  await open(0)
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const listenPort = address.port
  scope.after(refuse)
  return {
    port: listenPort,
    through(text) {
      const url = new URL(text)
      url.hostname = '127.0.0.1'
      url.port = String(listenPort)
      return url.href
    },
    async forward() {
      silent = false
      for (const { client, server } of pairs) {
        client.resume()
        server.resume()
      }
      if (!listener.listening) await open(listenPort)
    },
    hang() {
      silent = true
      pauseAll()
    },
    forget: pauseAll,
    refuse,
    cut,
    delay(ms) {
      delayMs = ms
    },
    aim(port) {
      targetPort = port
    },
    get connections() {
      return pairs.size
    },
  }
}
