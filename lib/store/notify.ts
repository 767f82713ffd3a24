/**
 * Hints between replicas over LISTEN and NOTIFY: a cap changed, a token was revoked. A hint may
 * be lost, late or doubled, so it only makes something happen sooner that a poll would do
 * anyway; nothing may depend on it. Reconnects for good, and costs one connection.
 */
import { Socket } from 'node:net'
import pgListen, { type Subscriber } from 'pg-listen'
import type pg from 'pg'
import type { Clock, Timer } from '../kernel/clock.ts'
import { messageOf } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Queryable } from './store.ts'

export interface Hints {
  /** Runs `action` with the detail of each hint of this topic; it must not throw. Returns the end of it. */
  on(topic: string, action: (detail: string) => void): () => void
  /** Runs `action` whenever hints may have been missed: after every connect. Returns the end of it. */
  onGap(action: () => void): () => void
  start(): void
  close(): void
}

export interface HintsParts {
  /** The driver's settings as they stand now; asked again for every new start. */
  readonly settings: () => pg.ClientConfig
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly log: Log
}

/** One channel for all topics: the listener then never has two statements at once. */
const channel = 'apps_gateway'
/** Postgres refuses 8000 bytes; a hint is a name. */
const payloadBytesMax = 2000
/** A dead connection is noticed within this time; until then polls do the work. */
const checkEveryMs = 30_000
const checkTimeoutMs = 5000
/** pg-listen's own default gives up after 3 s; after ours it is replaced by a new one. */
const retryTimeoutMs = 30_000
const retryLimit = Number.POSITIVE_INFINITY
const retryIntervalMs = 1000
const restartMs = 2000

/** Tells all replicas, this one included; inside a transaction only once that is committed. */
export async function sendHint(tx: Queryable, topic: string, detail: string): Promise<void> {
  const payload = JSON.stringify([topic, detail])
  if (Buffer.byteLength(payload) > payloadBytesMax) throw new Error(`hint ${topic} is too long`)
  await tx.query('SELECT pg_notify($1, $2)', [channel, payload])
}

export function createHints(parts: HintsParts): Hints {
  const { clock, log } = parts
  const actions = new Map<string, Set<(detail: string) => void>>()
  const gapActions = new Set<() => void>()
  let listener: Listener | undefined
  let restart: Timer | undefined
  let closed = false

  const start = (): void => {
    if (closed) return
    listener = listen(parts, {
      onPayload(payload) {
        const hint = readHint(payload)
        if (hint === undefined) log.debug(`a notification on ${channel} is no hint of ours`)
        else for (const action of actions.get(hint.topic) ?? []) action(hint.detail)
      },
      onConnected() {
        log.debug('listening for hints of other replicas')
        for (const action of gapActions) action()
      },
      onFailure(reason) {
        log.debug(`hints of other replicas are not heard: ${reason}; next try in ${restartMs} ms`)
        listener?.close()
        restart?.cancel()
        restart = clock.after(restartMs, start)
      },
    })
  }
  return {
    on(topic, action) {
      const listening = actions.get(topic) ?? new Set()
      actions.set(topic, listening.add(action))
      return () => void listening.delete(action)
    },
    onGap(action) {
      gapActions.add(action)
      return () => void gapActions.delete(action)
    },
    start,
    close() {
      closed = true
      restart?.cancel()
      listener?.close()
    },
  }
}

interface Listener {
  close(): void
}

interface ListenerEvents {
  onPayload(payload: unknown): void
  onConnected(): void
  onFailure(reason: string): void
}

/** One life of a subscriber: it reconnects for a while by itself and then reports a failure. */
function listen(parts: HintsParts, events: ListenerEvents): Listener {
  const sockets = new Set<Socket>()
  let closed = false
  let listening = false
  const subscriber: Subscriber<Record<string, unknown>> = pgListen.default(
    {
      ...parts.settings(),
      connectionTimeoutMillis: parts.connectTimeoutMs,
      query_timeout: checkTimeoutMs,
      // The subscriber says goodbye and waits for an answer; only the socket ends a hung one.
      stream() {
        const socket = new Socket()
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return socket
      },
    },
    {
      paranoidChecking: checkEveryMs,
      retryInterval: retryIntervalMs,
      retryTimeout: retryTimeoutMs,
      retryLimit,
      parse: (payload) => payload,
    },
  )
  const close = (): void => {
    if (closed) return
    closed = true
    // It may wait for ever for a server that hangs; the sockets end it.
    subscriber.close().catch(() => {})
    for (const socket of sockets) socket.destroy()
  }
  subscriber.events.on('reconnect', () => {
    // The one way to end its loop of attempts; it comes out as an error event.
    if (closed) throw new Error('closed')
  })
  subscriber.events.on('error', (error) => {
    if (!closed) events.onFailure(error.message)
  })
  subscriber.events.on('connected', () => {
    if (closed) for (const socket of sockets) socket.destroy()
    // The first time it says so before it listens, later on after.
    else if (listening) events.onConnected()
  })
  subscriber.notifications.on(channel, (payload) => events.onPayload(payload))
  subscriber
    .connect()
    .then(() => subscriber.listenTo(channel))
    .then(() => {
      listening = true
      if (!closed) events.onConnected()
    })
    .catch((error: unknown) => {
      if (!closed) events.onFailure(messageOf(error))
    })
  return { close }
}

function readHint(payload: unknown): { topic: string; detail: string } | undefined {
  if (typeof payload !== 'string') return undefined
  try {
    const parts: unknown = JSON.parse(payload)
    if (!Array.isArray(parts)) return undefined
    const [topic, detail]: unknown[] = parts
    return typeof topic === 'string' && typeof detail === 'string' ? { topic, detail } : undefined
  } catch {
    return undefined // somebody else's notification
  }
}
