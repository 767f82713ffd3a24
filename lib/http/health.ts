/**
 * The two probes. `/healthz` says that the process answers and asks nobody; `/readyz` says
 * whether to send clients here.
 */
import type { Handler } from './exchange.ts'
import { text } from './reply.ts'

/** Null when ready, else what is not, in words for the operator and the probe's log. */
export type Readiness = () => Promise<string | null> | string | null

/** A store comes back within seconds or not at all; probes ask that often anyway. */
const retryAfterSeconds = 5

export const handleHealthz: Handler = () => text(200, 'ok')

export function createReadyz(readiness: Readiness): Handler {
  return async () => {
    const missing = await readiness()
    if (missing === null) return text(200, 'ready')
    return text(503, missing, [['retry-after', String(retryAfterSeconds)]])
  }
}
