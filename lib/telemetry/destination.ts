/**
 * One collector: delivers exports to it as they came, within bounds of number, memory and time,
 * and drops what goes beyond them. Asked by `relay.ts`. It must never pass on a header of the
 * client's that names or authorises a person, and never make anybody wait.
 */
import { describeFailure } from '../egress/describe-failure.ts'
import type { Egress, EgressResponse } from '../egress/egress.ts'
import { DeadlineExceeded } from '../kernel/abort.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { productVersion } from '../kernel/version.ts'
import type { ForwardConfig } from './config.ts'
import { isFraming } from './framing.ts'
import { createLossNotice } from './loss-notice.ts'
import { createPause, type Pause } from './pause.ts'

export type Signal = 'metrics' | 'logs' | 'traces'

/** What a client reported, and how it is written. */
export interface Export {
  readonly signal: Signal
  readonly body: Uint8Array
  readonly contentType: string
  readonly contentEncoding: string | undefined
}

/** `failed` may go better another time; `settled` is taken, or refused for good. */
export type Delivery = 'settled' | 'failed'

export interface Destination {
  /** Its signals and headers from now on; the address stays. */
  configure(config: ForwardConfig): void
  takes(signal: Signal): boolean
  /** Whether an export of so many bytes would be sent now; one that would not is counted. */
  admits(bytes: number): boolean
  /** The same without counting. */
  isFree(bytes: number): boolean
  /** Sends the report, or drops it; what came of it for those who care. Never rejects. */
  deliver(report: Export): Promise<Delivery>
  /** Counts an export that was lost before it came here. */
  lose(): void
  /** Deliveries under way. */
  readonly inFlight: number
  /** Resolves once nothing is under way, with how many reports were given up on the way. */
  finish(): Promise<number>
  /** Ends everything under way; nothing is sent any more. */
  cut(reason: Error): void
}

export interface DestinationDeps {
  readonly egress: Egress
  readonly clock: Clock
  readonly log: Log
  /** Told of every report that a destination, by its name in the log, does not get. */
  readonly lost?: ((destination: string) => void) | undefined
}

/** The reference's; a collector that needs longer is not keeping up. */
const deliveryMs = 10_000

/** At 10 s each, a collector that hangs is given about three exports a second. */
export const inFlightMax: number = 32

/** Half of the largest body there may be by default: no destination can fill the memory. */
export const heldBytesMax: number = 16 * 1024 * 1024

/** An answer is a short note on what was not taken; a longer one ends its connection unread. */
const answerBytesMax = 64 * 1024

/** Answers to the payload rather than about the destination. */
const payloadRefusals: ReadonlySet<number> = new Set([400, 413, 415, 422, 431])

/** Enough of a status line for an operator; it is the collector's to write. */
const reasonMaxLength = 200

export function createDestination(deps: DestinationDeps, config: ForwardConfig): Destination {
  const { clock, log } = deps
  const base = config.url.replace(/\/$/, '')
  const name = nameOf(config)
  const pause = createPause(name, clock, log)
  const { headersFor, ...wants } = createWants(config)
  const send = createSender(deps, base, headersFor, pause)
  const underWay = new Set<AbortController>()
  let heldBytes = 0
  let ended = 0
  let isOver = false
  let onQuiet: (() => void)[] = []

  const notice = createLossNotice(clock, (count) =>
    log.warn(
      `otel dest ${name} does not keep up (limit ${inFlightMax} deliveries, ` +
        `${heldBytesMax / 1024 / 1024} MiB): dropped ${count} export(s)`,
    ),
  )
  const lose = (): void => {
    notice()
    deps.lost?.(name)
  }
  const fits = (bytes: number): boolean =>
    underWay.size < inFlightMax && heldBytes + bytes <= heldBytesMax
  const admits = (bytes: number): boolean => {
    if (pause.skips()) return false
    if (!fits(bytes)) lose()
    return fits(bytes)
  }
  const leave = (limit: AbortController, bytes: number): void => {
    underWay.delete(limit)
    heldBytes -= bytes
    if (underWay.size > 0) return
    for (const resolve of onQuiet) resolve()
    onQuiet = []
  }
  return {
    ...wants,
    admits,
    isFree: (bytes) => !pause.active && fits(bytes),
    lose,
    async deliver(report) {
      const bytes = report.body.length
      if (isOver) ended++
      if (isOver || !admits(bytes)) return 'failed'
      const limit = new AbortController()
      underWay.add(limit)
      heldBytes += bytes
      const delivery = await send(report, limit)
      leave(limit, bytes)
      return delivery
    },
    get inFlight() {
      return underWay.size
    },
    async finish() {
      if (underWay.size > 0) await new Promise<void>((resolve) => onQuiet.push(resolve))
      return ended
    },
    cut(reason) {
      isOver = true
      ended += underWay.size
      for (const limit of underWay) limit.abort(reason)
    },
  }
}

/** What the configuration in use says of a destination. */
function createWants(
  initial: ForwardConfig,
): Pick<Destination, 'configure' | 'takes'> & { readonly headersFor: HeadersFor } {
  let config = initial
  let headersFor = createHeaders(config.headers)
  return {
    configure(next) {
      config = next
      headersFor = createHeaders(next.headers)
    },
    takes: (signal) => config[signal],
    headersFor: (report) => headersFor(report),
  }
}

type Send = (wanted: Export, limit: AbortController) => Promise<Delivery>
type HeadersFor = (wanted: Export) => readonly string[]

/** One delivery, from the first byte out to the outcome noted with `pause`; never rejects. */
function createSender(
  { egress, clock }: DestinationDeps,
  base: string,
  headersFor: HeadersFor,
  pause: Pause,
): Send {
  return async (wanted, limit) => {
    const timer = clock.after(deliveryMs, () =>
      limit.abort(new DeadlineExceeded('the delivery', deliveryMs)),
    )
    try {
      const response = await egress.request({
        method: 'POST',
        url: new URL(`${base}/v1/${wanted.signal}`),
        headers: headersFor(wanted),
        body: wanted.body,
        signal: limit.signal,
        headTimeoutMs: deliveryMs,
        bodySilenceMs: deliveryMs,
      })
      const delivery = note(response, pause)
      await discard(response)
      return delivery
    } catch (error) {
      pause.failed(describeFailure(error).slice(0, reasonMaxLength))
      return 'failed'
    } finally {
      timer.cancel()
    }
  }
}

function note({ status, statusText }: EgressResponse, pause: Pause): Delivery {
  const reason = `${status} ${statusText}`.trimEnd().slice(0, reasonMaxLength)
  if (status >= 200 && status < 300) {
    pause.succeeded()
  } else if (payloadRefusals.has(status)) {
    pause.refused(reason)
  } else {
    pause.failed(reason)
    return 'failed'
  }
  return 'settled'
}

/** A destination as the log names it, without what may be a credential: userinfo, query. */
export function nameOf({ url }: Pick<ForwardConfig, 'url'>): string {
  const { origin, pathname } = new URL(url.replace(/\/$/, ''))
  return pathname === '/' ? origin : origin + pathname
}

/** Client's coding first, then ours; a configured header stands in place of either. */
function createHeaders(configured: Readonly<Record<string, string>>): HeadersFor {
  const own = Object.entries(configured).filter(([name]) => !isFraming(name))
  const names = new Set(own.map(([name]) => name.toLowerCase()))
  return ({ contentType, contentEncoding }) => {
    const list = own.flat()
    const add = (name: string, value: string): void => {
      if (!names.has(name)) list.push(name, value)
    }
    add('content-type', contentType)
    if (contentEncoding !== undefined) add('content-encoding', contentEncoding)
    add('user-agent', `apps-gateway/${productVersion}`)
    add('accept', '*/*')
    return list
  }
}

/** Reads the answer away, so that its connection can be used again. */
async function discard({ body }: EgressResponse): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > answerBytesMax) return // leaving the loop cancels the body
    }
  } catch {
    // The status has told the outcome; an answer cut behind it changes nothing.
  }
}
