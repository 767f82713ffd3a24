/**
 * The two kinds of line on stderr: operational lines for people, audit lines for machines.
 * Format is the reference's (spec 07 section 2). The level never silences an audit line.
 * Neither kind may ever hold prompt or completion text, a credential or a token.
 */
import type { Clock } from './clock.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface Log {
  debug(text: string): void
  info(text: string): void
  warn(text: string): void
  error(text: string): void
  /** True when debug lines are written; guards work done only for a debug line. */
  readonly debugs: boolean
}

type AuditScalar = string | number | boolean | null
export type AuditValue =
  | AuditScalar
  | readonly string[]
  | Readonly<Record<string, AuditScalar>>
  | undefined
/** Writes one audit line `{"ts","evt",…fields}`; undefined fields are left out. */
export type Audit = (event: string, fields: Readonly<Record<string, AuditValue>>) => void

/** Where finished lines go. A line ends in a newline already. */
export type LineSink = (line: string) => void

export function createLog(
  level: LogLevel,
  sink: LineSink,
  clock: Clock,
  /** Sees every audit line too. */
  auditSink?: LineSink,
): { log: Log; audit: Audit } {
  const lowest = logLevels.indexOf(level)
  const stamp = createStamp(clock)
  const writer =
    (name: LogLevel) =>
    (text: string): void => {
      if (logLevels.indexOf(name) < lowest) return
      sink(`[gateway] ${stamp()} ${name} ${oneLine(text)}\n`)
    }
  const log: Log = {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    debugs: lowest === 0,
  }
  const audit: Audit = (event, fields) => {
    const rest = JSON.stringify(fields).slice(1)
    const line = `{"ts":"${stamp()}","evt":${JSON.stringify(event)}${rest === '}' ? '' : ','}${rest}\n`
    sink(line)
    auditSink?.(line)
  }
  return { log, audit }
}

/** ISO timestamps, formatted once per second but for their milliseconds. */
function createStamp(clock: Clock): () => string {
  let lastSecond = Number.NaN
  let toSecond = ''
  return () => {
    const now = clock.now()
    const second = Math.floor(now / 1000)
    if (second !== lastSecond) {
      lastSecond = second
      toSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length)
    }
    return `${toSecond}${String(Math.floor(now) - second * 1000).padStart(3, '0')}Z`
  }
}

/** One line per record: a newline in foreign text must not forge a second record. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed here
  return text.replaceAll(/[\u0000-\u001F\u007F\u2028\u2029]+/g, ' ')
}
