/**
 * The usage meter: a tap that reads off a reply how many tokens it used. `inference.ts` makes one
 * per metered reply; its figures go to the bill and the audit line. It sees plain bytes (content
 * codings are undone before taps), holds a few KiB of them at most, and must never delay, change
 * or break a response. Which figures count is the reference's measured behaviour.
 */
import type { Log } from '../kernel/log.ts'
import { asBuffer } from '../stream/as-buffer.ts'
import { createFieldScanner } from '../stream/json-field.ts'
import { createSseScanner } from '../stream/sse.ts'
import type { Tap } from '../stream/tap.ts'
import {
  createUsageTotals,
  isRecord,
  readUsage,
  type Usage,
  type UsagePlace,
  type UsageReport,
} from './usage.ts'

export interface MeteredReply {
  /** The reply's `content-type`; null when it has none. It decides how the body is read. */
  readonly contentType: string | null
  /** Whether the client asked for a stream. */
  readonly streams: boolean
  /** The model as it was sent upstream, for warnings. */
  readonly model: string
}

export interface Meter extends Tap {
  /** The figures so far; final once settled. */
  usage(): Usage
  /**
   * What must be written before another event can follow what has passed by: line feeds or
   * nothing. Null when the reply is no event stream.
   */
  closing(): string | null
}

/** Opens the meter of one reply with a 2xx status. Other replies and token counts are free. */
export type OpenMeter = (reply: MeteredReply) => Meter

/** Says once per model what is odd about its usage. */
type Warn = (model: string, kind: 'misshapen' | 'out of range', what: string) => void

/** One maker of meters per process: it remembers what it has warned of. */
export function createMeters(log: Log): OpenMeter {
  const warn = createWarn(log)
  return (reply) => {
    const isStream = reply.contentType?.toLowerCase().includes('text/event-stream') ?? false
    return isStream ? meterStream(reply, warn) : meterDocument(reply, warn)
  }
}

/** Characters of a text delta without text: what a delta event is longer than that is counted. */
const emptyDeltaChars = JSON.stringify({
  type: 'content_block_delta',
  index: 0,
  delta: { type: 'text_delta', text: '' },
}).length

/** Characters, or bytes of a document, that are taken for one token. */
const charsPerToken = 4

function meterStream(reply: MeteredReply, warn: Warn): Meter {
  const totals = createUsageTotals()
  let deltaChars = 0
  let complete = false

  const read = (place: 'message_start' | 'message_delta', value: unknown): void => {
    const report = readReport(value, place === 'message_start' ? 'message' : place, reply, warn)
    if (report === null) return
    if (place === 'message_start') totals.start(report)
    else totals.update(report)
  }
  const take = (type: string, message: Readonly<Record<string, unknown>>, chars: number): void => {
    switch (type) {
      case 'content_block_delta':
        deltaChars += Math.max(0, chars - emptyDeltaChars)
        break
      case 'message_stop':
        complete = true
        break
      case 'message_start':
        read(type, isRecord(message['message']) ? message['message']['usage'] : undefined)
        break
      case 'message_delta':
        read(type, message['usage'])
        break
      default:
    }
  }
  const scanner = createSseScanner({
    common: 'content_block_delta',
    // Without an event line the type stands in the data.
    wants: (type) => type === 'message_start' || type === 'message_delta' || type === '',
    event(type, data, chars) {
      if (type === 'content_block_delta' || type === 'message_stop') {
        take(type, {}, chars)
      } else if (data !== null) {
        const message = parse(data)
        if (isRecord(message) && typeof message['type'] === 'string') {
          take(message['type'], message, chars)
        }
      }
    },
  })
  return {
    name: 'meter',
    chunk: (bytes) => scanner.push(bytes),
    settle: () => scanner.finish(),
    usage: () =>
      totals.sum(Math.ceil(deltaChars / charsPerToken), { inputMissing: false, complete }),
    closing: () => scanner.closing(),
  }
}

/**
 * Largest usage object read out of a document. Real ones are below 2 KiB; the rest of a document
 * is never held, so a reply of any size is metered exactly.
 */
const usageMaxBytes = 64 * 1024

function meterDocument(reply: MeteredReply, warn: Warn): Meter {
  const totals = createUsageTotals()
  const field = createFieldScanner('usage', usageMaxBytes)
  let bytes = 0
  let known = false
  return {
    name: 'meter',
    chunk(chunk) {
      bytes += chunk.length
      field.push(chunk)
    },
    settle() {
      const value = field.value()
      const report = value && readReport(parse(value), 'message', reply, warn)
      if (report === null) return
      known = true
      totals.replace(report)
    },
    usage: () =>
      totals.sum(Math.ceil(bytes / charsPerToken), {
        inputMissing: !known && bytes > 0 && !reply.streams,
        complete: field.closed(),
      }),
    closing: () => null,
  }
}

function readReport(
  value: unknown,
  place: UsagePlace,
  { model }: MeteredReply,
  warn: Warn,
): UsageReport | null {
  // Absent usage is ordinary: not every event and reply has it.
  if (value === undefined || value === null) return null
  const result = readUsage(value, place)
  if ('misshapen' in result) {
    warn(model, 'misshapen', result.misshapen)
    return null
  }
  if (result.report.outOfRange !== null) warn(model, 'out of range', result.report.outOfRange)
  return result.report
}

/** Undefined for what is no JSON: an upstream may send anything. */
function parse(data: Uint8Array): unknown {
  try {
    // Events and usage objects are bounded by their scanners.
    const value: unknown = JSON.parse(asBuffer(data).toString())
    return value
  } catch {
    return undefined
  }
}

/** Models warned of. Names come from the configuration, so more than this are not warned of. */
const warnedMax = 1000

function createWarn(log: Log): Warn {
  const warned = new Set<string>()
  return (model, kind, what) => {
    const key = `${kind} ${model}`
    if (warned.has(key) || warned.size >= warnedMax) return
    warned.add(key)
    log.warn(
      kind === 'misshapen'
        ? `usage metering: model ${model} sent usage that does not have the API's shape (${what}); such replies are metered from their other events or estimated by length. Logged once per model`
        : `usage metering: model ${model} reported a number that cannot be (${what} is negative or not finite); it counts as 0. Logged once per model`,
    )
  }
}
