/**
 * The connections of an egress, each one undici client that carries one exchange at a time, kept
 * for the next one to the same origin. undici's own pool looks through all its connections twice
 * for every request: with five thousand streams open that was a quarter of the CPU. Here a free
 * one is on top of a stack, the last one used first, so that those too many fall idle and close.
 */
import { Client } from 'undici'
import type { Clock } from '../kernel/clock.ts'
import { createRoster, type Member } from '../kernel/roster.ts'

/** How a connection is made and kept. */
type ConnectionOptions = Pick<
  Client.Options,
  | 'allowH2'
  | 'connect'
  | 'keepAliveMaxTimeout'
  | 'keepAliveTimeout'
  | 'maxHeaderSize'
  | 'pipelining'
>

export interface Connection extends Member {
  readonly client: Client
  readonly origin: string
  /** `clock.elapsed()`. */
  readonly openedAt: number
  isFree: boolean
}

export interface Connections {
  /** A free connection to `origin`, or a new one that connects with its first exchange. */
  take(origin: string): Connection
  /** Its exchange is over; a connection that failed one is closed. */
  giveBack(connection: Connection, isUsable: boolean): void
  /** Fails what is open. Connections taken later fail at once. */
  destroy(): Promise<void>
}

/** One older than `lifeMaxMs` is not used again. There are as many as exchanges at once. */
export function createConnections(
  clock: Clock,
  lifeMaxMs: number,
  options: ConnectionOptions,
): Connections {
  const all = createRoster<Connection>()
  // Origins are the operator's, and few.
  const freeByOrigin = new Map<string, Connection[]>()
  let isDestroyed = false

  const freeOf = (origin: string): Connection[] => {
    const known = freeByOrigin.get(origin)
    if (known !== undefined) return known
    const free: Connection[] = []
    freeByOrigin.set(origin, free)
    return free
  }
  const close = (connection: Connection): void => {
    all.delete(connection)
    // What is destroyed has nothing under way that could fail.
    connection.client.destroy().catch(() => {})
  }
  const open = (origin: string): Connection => {
    const client = new Client(origin, options)
    const connection = { client, origin, openedAt: clock.elapsed(), isFree: false, place: -1 }
    all.add(connection)
    client.on('disconnect', () => {
      if (!connection.isFree) return
      const free = freeOf(origin)
      free.splice(free.indexOf(connection), 1)
      connection.isFree = false
      close(connection)
    })
    if (isDestroyed) close(connection)
    return connection
  }
  return {
    take(origin) {
      const free = freeOf(origin)
      for (let last = free.pop(); last !== undefined; last = free.pop()) {
        last.isFree = false
        if (clock.elapsed() - last.openedAt < lifeMaxMs) return last
        close(last)
      }
      return open(origin)
    },
    giveBack(connection, isUsable) {
      if (!isUsable || isDestroyed) {
        // undici is in the middle of telling of the failure.
        queueMicrotask(() => close(connection))
        return
      }
      connection.isFree = true
      freeOf(connection.origin).push(connection)
    },
    async destroy() {
      isDestroyed = true
      await Promise.all(all.members().map(({ client }) => client.destroy()))
    },
  }
}
