/**
 * What a `usage` object of the Messages API says, and how those of one reply add up. The meter
 * reads them, pricing works on the result. Pure: it logs nothing, and says what was odd.
 */

/** Token figures of one reply, as they are priced. All are finite and at least 0. */
export interface Usage {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_input_tokens: number
  /** All cache writes, those for an hour included. */
  readonly cache_creation_input_tokens: number
  /** Of `cache_creation_input_tokens`, those for an hour. */
  readonly ephemeral_1h_input_tokens: number
  readonly web_search_requests: number
  readonly speed: string | null
  /** The reply did not say its `output_tokens`: they are estimated from its length. */
  readonly estimated: boolean
  /** The reply did not say its `input_tokens` either: they must be counted by other means. */
  readonly inputMissing: boolean
  /** The reply came to its own end: `message_stop`, or the last brace of a JSON document. */
  readonly complete: boolean
}

/** Where a usage object stands. The API leaves `input_tokens` null in deltas only. */
export type UsagePlace = 'message' | 'message_delta'

/** Counted things and where in a usage object they stand. */
const counters = {
  input: ['input_tokens'],
  output: ['output_tokens'],
  cacheRead: ['cache_read_input_tokens'],
  cacheWrite: ['cache_creation_input_tokens'],
  cacheWrite5m: ['cache_creation', 'ephemeral_5m_input_tokens'],
  cacheWrite1h: ['cache_creation', 'ephemeral_1h_input_tokens'],
  webSearch: ['server_tool_use', 'web_search_requests'],
} as const
type Counter = keyof typeof counters
const counterNames = [
  'input',
  'output',
  'cacheRead',
  'cacheWrite',
  'cacheWrite5m',
  'cacheWrite1h',
  'webSearch',
] as const satisfies readonly Counter[]

/** One usage object; what it leaves out or null is undefined here. */
export interface UsageReport {
  readonly counts: Readonly<Partial<Record<Counter, number>>>
  readonly speed: string | null
  /** A field below 0 or beyond every number, which counts as 0. */
  readonly outOfRange: string | null
}

/**
 * Reads a parsed `usage`, or returns what is wrong with it. One field of a wrong type spoils the
 * whole object: there is no telling what the others mean then.
 */
export function readUsage(
  value: unknown,
  place: UsagePlace,
): { readonly report: UsageReport } | { readonly misshapen: string } {
  if (!isRecord(value)) return { misshapen: `usage is ${nameType(value)}` }
  const counts: Partial<Record<Counter, number>> = {}
  let outOfRange: string | null = null
  for (const counter of counterNames) {
    const [outer, inner] = counters[counter]
    const holder = inner === undefined ? value : (value[outer] ?? {})
    if (!isRecord(holder)) return { misshapen: `usage.${outer} is ${nameType(holder)}` }
    const found = holder[inner ?? outer]
    const optional = counter !== 'output' && (counter !== 'input' || place === 'message_delta')
    if (found === undefined || (found === null && optional)) continue
    if (typeof found !== 'number') {
      return { misshapen: `usage.${inner ?? outer} is ${nameType(found)}` }
    }
    const inRange = Number.isFinite(found) && found >= 0
    counts[counter] = inRange ? found : 0
    if (!inRange) outOfRange = `usage.${inner ?? outer}`
  }
  const speed = value['speed'] ?? null
  if (speed !== null && typeof speed !== 'string') {
    return { misshapen: `usage.speed is ${nameType(speed)}` }
  }
  return { report: { counts, speed, outOfRange } }
}

export interface UsageTotals {
  /** From `message_start`. Its output is a placeholder and not billed. */
  start(report: UsageReport): void
  /** From `message_delta`: totals so far, where 0 means that nothing is said. */
  update(report: UsageReport): void
  /** From a whole message. */
  replace(report: UsageReport): void
  /** The figures so far; `estimatedOutput` stands in when no output was reported. */
  sum(estimatedOutput: number, rest: { inputMissing: boolean; complete: boolean }): Usage
}

export function createUsageTotals(): UsageTotals {
  const counts: Partial<Record<Counter, number>> = {}
  let speed: string | null = null
  return {
    start(report) {
      const { output: _placeholder, ...billed } = report.counts
      Object.assign(counts, billed)
      speed = report.speed ?? speed
    },
    update(report) {
      for (const counter of counterNames) {
        const count = report.counts[counter]
        // The last word on output and searches counts, even 0; for the rest 0 is no word.
        const said = counter === 'output' || counter === 'webSearch' ? count !== undefined : count
        if (said) counts[counter] = count ?? 0
      }
    },
    replace(report) {
      Object.assign(counts, { output: 0 }, report.counts)
      speed = report.speed
    },
    sum(estimatedOutput, { inputMissing, complete }) {
      const { cacheWrite5m = 0, cacheWrite1h = 0, output } = counts
      // Some upstreams give the parts without their total.
      const cacheWrite = counts.cacheWrite || cacheWrite5m + cacheWrite1h
      return {
        input_tokens: counts.input ?? 0,
        output_tokens: output ?? estimatedOutput,
        cache_read_input_tokens: counts.cacheRead ?? 0,
        cache_creation_input_tokens: cacheWrite,
        ephemeral_1h_input_tokens: Math.min(cacheWrite1h, cacheWrite),
        web_search_requests: counts.webSearch ?? 0,
        speed,
        estimated: output === undefined,
        inputMissing,
        complete,
      }
    },
  }
}

/** Whether a parsed value is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function nameType(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  return `a ${typeof value}`
}
