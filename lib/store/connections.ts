/**
 * The connections of a replica: at most so many, lent one at a time, the longest waiter first.
 * Not the driver's own pool, because that one keeps waiters and slots behind a connection whose
 * server hangs; here a hung connection costs its borrower's deadline and nothing else.
 */
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Connection } from './connection.ts'
import type { Deadline } from './deadline.ts'

export interface ConnectionsConfig {
  readonly max: number
  readonly clock: Clock
  /** Bounded by itself. */
  readonly open: () => Promise<Connection>
}

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (reason: unknown) => void
}

/** An idle connection is closed after this: `max` is for bursts, not a share of the server. */
const idleMs = 60_000
/** Then a new one takes its place, so that a failover behind the name or a new password is seen. */
const ageMaxMs = 30 * 60_000
/** More callers at once than this are an outage, and a queue would only make it longer. */
const waitersMax = 1000
/** A farewell is one round trip at most. */
const farewellMs = 1000

export class Connections {
  readonly #config: ConnectionsConfig
  readonly #reaper: Timer
  /** The one used last stands last. While somebody waits there is none. */
  readonly #idle: { connection: Connection; since: number }[] = []
  readonly #bornAt = new WeakMap<Connection, number>()
  readonly #waiters: Waiter[] = []
  /** Lent, idle and being opened. */
  #count = 0
  #closed = false

  constructor(config: ConnectionsConfig) {
    this.#config = config
    this.#reaper = config.clock.every(idleMs / 2, () => this.#closeIdle())
  }

  /** `open` counts those being opened too. */
  get figures(): { open: number; idle: number; waiting: number; max: number } {
    const { max } = this.#config
    return { open: this.#count, idle: this.#idle.length, waiting: this.#waiters.length, max }
  }

  /** Lends one; rejects with the reason it cannot be had, or when the deadline strikes. */
  async acquire(deadline: Deadline): Promise<Connection> {
    if (this.#closed) throw new Error('the store is closed')
    const ready = this.#takeIdle()
    if (ready !== undefined) return ready
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const waiter = { resolve, reject }
    if (this.#count < this.#config.max) this.#openFor(waiter)
    else if (this.#waiters.length < waitersMax) this.#waiters.push(waiter)
    else throw new Error(`${waitersMax} calls wait for a connection already`)
    try {
      return await deadline.bound(promise)
    } catch (error) {
      const place = this.#waiters.indexOf(waiter)
      if (place !== -1) this.#waiters.splice(place, 1)
      // One that is still being opened comes too late for this caller: it goes to the next.
      promise.then(
        (connection) => this.release(connection),
        () => {},
      )
      throw error
    }
  }

  /** Takes one back that is in order, as far as its borrower knows. */
  release(connection: Connection): void {
    if (this.#closed || this.#isOld(connection)) {
      this.#retire(connection)
    } else if (!connection.usable()) {
      this.#drop(connection)
    } else {
      const waiter = this.#waiters.shift()
      if (waiter !== undefined) waiter.resolve(connection)
      else this.#idle.push({ connection, since: this.#config.clock.elapsed() })
      return
    }
    this.#serveNext()
  }

  /** Destroys one that failed and every idle one with it: their server may be gone as well. */
  discard(connection: Connection): void {
    this.#drop(connection)
    for (const entry of this.#idle.splice(0)) this.#drop(entry.connection)
    this.#serveNext()
  }

  /** Ends all of them; those that are lent end when they come back. */
  close(): void {
    this.#closed = true
    this.#reaper.cancel()
    for (const { connection } of this.#idle.splice(0)) this.#retire(connection)
    for (const { reject } of this.#waiters.splice(0)) reject(new Error('the store is closed'))
  }

  #takeIdle(): Connection | undefined {
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      const { connection } = entry
      if (!connection.usable()) this.#drop(connection)
      else if (this.#isOld(connection)) this.#retire(connection)
      else return connection
    }
    return undefined
  }

  #openFor(waiter: Waiter): void {
    this.#count++
    this.#config.open().then(
      (connection) => {
        this.#bornAt.set(connection, this.#config.clock.elapsed())
        waiter.resolve(connection)
      },
      (error: unknown) => {
        this.#count--
        waiter.reject(error)
        this.#serveNext()
      },
    )
  }

  /** Gives a free place to the one who waits longest. */
  #serveNext(): void {
    if (this.#count >= this.#config.max) return
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) this.#openFor(waiter)
  }

  #isOld(connection: Connection): boolean {
    return this.#config.clock.elapsed() - (this.#bornAt.get(connection) ?? 0) > ageMaxMs
  }

  #closeIdle(): void {
    const before = this.#config.clock.elapsed() - idleMs
    for (let first = this.#idle[0]; first !== undefined && first.since < before;) {
      this.#idle.shift()
      this.#retire(first.connection)
      first = this.#idle[0]
    }
  }

  #drop(connection: Connection): void {
    this.#count--
    connection.destroy()
  }

  /** Says goodbye, so that the server does not log a lost client. */
  #retire(connection: Connection): void {
    this.#count--
    connection.client.end().catch(() => {})
    this.#config.clock.after(farewellMs, () => connection.destroy())
  }
}
