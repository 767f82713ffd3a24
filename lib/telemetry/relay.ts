/**
 * The OTLP relay: `POST /v1/metrics`, `/v1/logs` and `/v1/traces` of any session are answered at
 * once and sent on, as they came, to every collector that wants the signal. Nothing here is
 * parsed, kept or audited, and no collector can delay a client or another collector.
 */
import type { CallerHandler, Exchange, Reply } from '../http/exchange.ts'
import { ShuttingDown } from '../kernel/abort.ts'
import { type Backlog, createCollectors } from './collectors.ts'
import type { TelemetryConfig, TelemetryExtension } from './config.ts'
import type { Destination, DestinationDeps, Export, Signal } from './destination.ts'
import { createVerifier, type Verify } from './verify.ts'

export interface TelemetryRelay {
  readonly handlers: Readonly<Record<Signal, CallerHandler>>
  /** Another configuration from now on. What waits for a collector goes on waiting. */
  use(telemetry: TelemetryConfig | undefined, extension: TelemetryExtension | undefined): void
  backlog(): Backlog
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

/** What one configuration says of a report. */
interface Plan {
  readonly destinations: readonly Destination[]
  readonly verify: Verify | null
}

export function createTelemetryRelay(
  deps: DestinationDeps,
  telemetry: TelemetryConfig | undefined,
  extension?: TelemetryExtension,
): TelemetryRelay {
  const collectors = createCollectors(deps)
  const verifier = createVerifier(deps)
  let readingBytes = 0

  const planOf: (...to: Parameters<TelemetryRelay['use']>) => Plan = (to, more) => ({
    destinations: collectors.use(to?.forward_to ?? [], more),
    verify: more?.verify_identity === true ? verifier : null,
  })
  let plan = planOf(telemetry, extension)

  const read = async (exchange: Exchange, bytes: number): Promise<Export['body']> => {
    readingBytes += bytes
    try {
      return await exchange.readBody()
    } finally {
      readingBytes -= bytes
    }
  }
  const handlerOf = (signal: Signal): CallerHandler => {
    const interested = (): readonly Destination[] =>
      plan.destinations.filter((destination) => destination.takes(signal))
    return async (exchange, caller) => {
      const bytes = Number(exchange.headers['content-length'] ?? 0)
      if (readingBytes + bytes > readingBytesMax) {
        for (const destination of interested()) destination.lose()
        return accepted
      }
      // A body that nobody takes is not read into memory.
      const admitting = interested().filter((destination) => destination.admits(bytes))
      if (admitting.length === 0) return accepted
      const asked = plan
      const wanted = exportOf(signal, await read(exchange, bytes), exchange)
      const report = plan.verify === null ? wanted : await plan.verify(wanted, caller)
      if (report === null) return accepted
      // Replaced while it was read: it goes where the configuration in use now says.
      const to = plan === asked ? admitting : interested()
      for (const destination of to) void destination.deliver(report) // never rejects
      return accepted
    }
  }
  const endAll = (): void => {
    const over = new ShuttingDown()
    for (const destination of collectors.all()) destination.cut(over)
  }
  return {
    handlers: {
      metrics: handlerOf('metrics'),
      logs: handlerOf('logs'),
      traces: handlerOf('traces'),
    },
    use(to, more) {
      plan = planOf(to, more)
    },
    backlog: () => collectors.backlog(),
    async drain(windowMs) {
      const timer = deps.clock.after(windowMs, endAll)
      const ended = await Promise.all(collectors.all().map((destination) => destination.finish()))
      timer.cancel()
      return ended.reduce((sum, count) => sum + count, 0)
    },
    cut: endAll,
  }
}

function exportOf(signal: Signal, body: Export['body'], { headers }: Exchange): Export {
  const { 'content-type': contentType, 'content-encoding': contentEncoding } = headers
  return { signal, body, contentType: contentType ?? defaultContentType, contentEncoding }
}
