/**
 * How the listener ends: a drain that lets open requests finish, or a cut. Whoever holds the
 * process decides which; a cut may come in the middle of a drain and ends it.
 */
import { Server as NetServer, type Socket } from 'node:net'
import { ShuttingDown } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Connections } from './connection.ts'
import type { Traffic } from './serve.ts'

/** How long idle connections live on once draining begins, to hear that probes now fail. */
const farewellMs = 1_000

export interface ShutdownParts {
  readonly server: NetServer
  /** Every TCP connection, with or without a request so far. */
  readonly sockets: ReadonlySet<Socket>
  readonly connections: Connections
  readonly traffic: Traffic
  readonly clock: Clock
}

export interface Shutdown {
  /** Resolves with the number of requests cut, all connections closed. */
  drain(windowMs: number): Promise<number>
  /** Returns the number of requests cut. */
  cut(): number
}

export function createShutdown(parts: ShutdownParts): Shutdown {
  const { server, sockets, connections, traffic, clock } = parts
  let endDrain: ((cutRequests: number) => void) | null = null

  const stopListening = (): void => {
    traffic.closing = true
    // http.Server's own close would also end idle connections, before they heard of it.
    NetServer.prototype.close.call(server)
  }
  const cut = (): number => {
    stopListening()
    const count = traffic.open.size
    for (const exchange of traffic.open.members()) exchange.lose(new ShuttingDown())
    for (const socket of sockets) socket.destroy()
    endDrain?.(count)
    return count
  }
  const drain = (windowMs: number): Promise<number> =>
    new Promise((resolve) => {
      stopListening()
      let farewellOver = sockets.size === 0
      const cutWhenQuiet = (): void => {
        if (farewellOver && traffic.open.size === 0) cut()
      }
      const window = clock.after(windowMs, cut)
      const farewell = clock.after(farewellMs, () => {
        farewellOver = true
        connections.endIdle()
        cutWhenQuiet()
      })
      endDrain = (count) => {
        endDrain = null
        window.cancel()
        farewell.cancel()
        resolve(count)
      }
      traffic.onQuiet = cutWhenQuiet
      cutWhenQuiet()
    })
  return { drain, cut }
}
