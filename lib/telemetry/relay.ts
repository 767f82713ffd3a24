/**
 * The OTLP relay: `POST /v1/metrics`, `/v1/logs` and `/v1/traces` of any session are answered at
 * once and sent on, as they came, to every collector that wants the signal. Nothing here is
 * parsed, kept or audited, and no collector can delay a client or another collector.
 */
import type { CallerHandler, Exchange, Reply } from '../http/exchange.ts'
import { ShuttingDown } from '../kernel/abort.ts'
import type { ForwardConfig, TelemetryConfig, TelemetryExtension } from './config.ts'
import {
  createDestination,
  type Destination,
  type DestinationDeps,
  nameOf,
  type Signal,
} from './destination.ts'
import { createQueuedDestination } from './queue.ts'
import { createVerifier } from './verify.ts'

export interface TelemetryRelay {
  readonly handlers: Readonly<Record<Signal, CallerHandler>>
  /**
   * Waits for the deliveries under way, at most `windowMs`, then ends them; resolves with how many
   * reports were given up. Called when no request can come any more.
   */
  drain(windowMs: number): Promise<number>
  /** Ends every delivery now, and a running `drain` with them. */
  cut(): void
}

/**
 * Bodies being read at one time. Clients send some kilobytes; the bound is for those that send
 * the most they may, slowly.
 */
const readingBytesMax = 64 * 1024 * 1024

const defaultContentType = 'application/x-protobuf'

/** No body and no content type: exporters take that for success in any of their formats. */
const accepted: Reply = { status: 200, headers: [], body: null }

export function createTelemetryRelay(
  deps: DestinationDeps,
  telemetry: TelemetryConfig | undefined,
  extension?: TelemetryExtension,
): TelemetryRelay {
  const destinations = createDestinations(deps, telemetry?.forward_to ?? [], extension)
  const verify = extension?.verify_identity === true ? createVerifier(deps) : null
  let readingBytes = 0

  const read = async (exchange: Exchange, bytes: number): Promise<Uint8Array> => {
    readingBytes += bytes
    try {
      return await exchange.readBody()
    } finally {
      readingBytes -= bytes
    }
  }
  const handlerOf = (signal: Signal): CallerHandler => {
    const interested = destinations.filter((destination) => destination.takes(signal))
    return async (exchange, caller) => {
      const bytes = Number(exchange.headers['content-length'] ?? 0)
      if (readingBytes + bytes > readingBytesMax) {
        for (const destination of interested) destination.lose()
        return accepted
      }
      // A body that nobody takes is not read into memory.
      const admitting = interested.filter((destination) => destination.admits(bytes))
      if (admitting.length === 0) return accepted
      const body = await read(exchange, bytes)
      const { 'content-type': contentType, 'content-encoding': contentEncoding } = exchange.headers
      const wanted = {
        signal,
        body,
        contentType: contentType ?? defaultContentType,
        contentEncoding,
      }
      const report = verify === null ? wanted : await verify(wanted, caller)
      if (report === null) return accepted
      for (const destination of admitting) void destination.deliver(report) // never rejects
      return accepted
    }
  }
  const endAll = (): void => {
    const over = new ShuttingDown()
    for (const destination of destinations) destination.cut(over)
  }
  return {
    handlers: {
      metrics: handlerOf('metrics'),
      logs: handlerOf('logs'),
      traces: handlerOf('traces'),
    },
    async drain(windowMs) {
      const timer = deps.clock.after(windowMs, endAll)
      const ended = await Promise.all(destinations.map((destination) => destination.finish()))
      timer.cancel()
      return ended.reduce((sum, count) => sum + count, 0)
    },
    cut: endAll,
  }
}

/** One for each collector; with `queue_bytes` all of them share that much memory. */
function createDestinations(
  deps: DestinationDeps,
  entries: readonly ForwardConfig[],
  extension: TelemetryExtension | undefined,
): readonly Destination[] {
  const { queue_bytes: maxBytes, retry_seconds = 0 } = extension ?? {}
  if (maxBytes === undefined) return entries.map((entry) => createDestination(deps, entry))
  const budget = { maxBytes, heldBytes: 0 }
  const { clock, log, lost } = deps
  const shared = { budget, retryMs: retry_seconds * 1000, clock, log, lost }
  return entries.map((entry) =>
    createQueuedDestination(createDestination(deps, entry), { ...shared, name: nameOf(entry) }),
  )
}
