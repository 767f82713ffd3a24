/** Log and audit that keep what they are told, for specs that ask what was written. */
import type { Audit, AuditValue, Log } from '../../lib/kernel/log.ts'

export interface Recorder {
  readonly log: Log
  readonly audit: Audit
  /** `level text` of every line so far. */
  readonly lines: string[]
  readonly audits: { readonly event: string; readonly [field: string]: AuditValue }[]
  /** The fields of the newest audit line of an event, in order, as JSON. */
  lastAudit(event: string): string | undefined
}

export function createRecorder(): Recorder {
  const lines: string[] = []
  const audits: Recorder['audits'] = []
  const writer =
    (level: string) =>
    (text: string): void => {
      lines.push(`${level} ${text}`)
    }
  return {
    log: {
      debug: writer('debug'),
      info: writer('info'),
      warn: writer('warn'),
      error: writer('error'),
      debugs: true,
    },
    audit: (event, fields) => {
      audits.push({ event, ...fields })
    },
    lines,
    audits,
    lastAudit(name) {
      const found = audits.findLast(({ event }) => event === name)
      if (found === undefined) return undefined
      const { event: _, ...fields } = found
      return JSON.stringify(fields)
    },
  }
}
