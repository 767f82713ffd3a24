/**
 * What is kept per TCP connection: who the peer is, and which exchanges wait on it, so that all
 * of them learn when it ends. One look-up per request instead of listeners per request.
 */
import type { Socket } from 'node:net'
import { ClientGone } from '../kernel/abort.ts'
import { normalizeAddress } from './address.ts'
import type { ServedExchange } from './served-exchange.ts'

export interface Connection {
  /** Address of the TCP peer; `unknown` when it left before it could be asked. */
  readonly peer: string
  /** Exchanges whose reply is not out yet; more than one only when requests are pipelined. */
  readonly open: ServedExchange[]
  /** Set once a bare refusal was written: nothing else may follow it. */
  refused: boolean
}

export interface Connections {
  of(socket: Socket): Connection
  /** Ends those that wait for no reply. */
  endIdle(): void
}

export function createConnections(): Connections {
  const known = new Map<Socket, Connection>()
  const open = (socket: Socket): Connection => {
    const connection: Connection = {
      peer: normalizeAddress(socket.remoteAddress ?? '') ?? 'unknown',
      open: [],
      refused: false,
    }
    if (socket.destroyed) return connection
    known.set(socket, connection)
    const lose = (): void => {
      for (const exchange of connection.open.slice()) exchange.lose(new ClientGone())
    }
    // A client that closes its sending half has left; node:http ends the other half then too.
    socket.once('end', () => {
      if (connection.open.length === 0) return
      lose()
      socket.destroy()
    })
    socket.once('close', () => {
      known.delete(socket)
      lose()
    })
    return connection
  }
  return {
    of: (socket) => known.get(socket) ?? open(socket),
    endIdle() {
      for (const [socket, connection] of known) {
        if (connection.open.length === 0) socket.destroySoon()
      }
    },
  }
}
