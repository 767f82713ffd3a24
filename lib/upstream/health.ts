/**
 * Memory of dead upstreams, for `extensions.upstream_health`: one that failed several times in a
 * row is passed over for a bounded time, then tried by one request at a time until it answers.
 * Asked by `failover.ts`; without the block there is none and the order is the configured one.
 * It only ever changes the order: an upstream passed over is still asked when no other helps.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { AttemptResult, Upstream } from './upstream.ts'

/** Told once what came of the try it was handed out for. */
export type Settle = (result: AttemptResult) => void

export interface Health {
  /** Called right before a try; null: pass the upstream over for now. */
  begin(upstream: Upstream): Settle | null
  /** For a try although the upstream was passed over. */
  insist(upstream: Upstream): Settle
}

/** `extensions.upstream_health`. */
export interface HealthConfig {
  readonly failures: number
  readonly open_seconds: number
}

interface Memory {
  /** In a row. */
  failures: number
  /** `clock.elapsed()` from which on a probe may go; null while the upstream is trusted. */
  probeAt: number | null
  /** When it was first passed over. */
  since: number
  probing: boolean
  passedOver: number
}

export function createHealth(clock: Clock, log: Log, config: HealthConfig): Health {
  const openMs = config.open_seconds * 1000
  // One entry for each configured upstream at most.
  const memories = new Map<string, Memory>()
  const memoryOf = ({ name }: Upstream): Memory => {
    const known = memories.get(name)
    if (known !== undefined) return known
    const memory = { failures: 0, probeAt: null, since: 0, probing: false, passedOver: 0 }
    memories.set(name, memory)
    return memory
  }
  const settlerFor =
    (upstream: Upstream, memory: Memory, isProbe: boolean): Settle =>
    (result) => {
      if (isProbe) memory.probing = false
      if (result.kind === 'client-gone') return
      if (!isFailure(result)) recover(upstream, memory)
      else if (++memory.failures >= config.failures) distrust(upstream, memory, isProbe)
    }
  const recover = ({ name }: Upstream, memory: Memory): void => {
    if (memory.probeAt !== null) {
      const seconds = Math.round((clock.elapsed() - memory.since) / 1000)
      log.warn(
        `upstream ${name} answers again after ${seconds}s: ${memory.passedOver} time(s) passed over`,
      )
    }
    memory.failures = 0
    memory.probeAt = null
    memory.passedOver = 0
  }
  const distrust = ({ name }: Upstream, memory: Memory, isProbe: boolean): void => {
    // Tries that were under way when it began, or that were insisted on, do not prolong it.
    if (memory.probeAt !== null && !isProbe) return
    const now = clock.elapsed()
    if (memory.probeAt === null) {
      memory.since = now
      log.warn(
        `upstream ${name} failed ${memory.failures} time(s) in a row: passed over for ` +
          `${config.open_seconds}s (extensions.upstream_health)`,
      )
    }
    memory.probeAt = now + openMs
  }
  return {
    begin(upstream) {
      const memory = memoryOf(upstream)
      if (memory.probeAt === null) return settlerFor(upstream, memory, false)
      if (memory.probing || clock.elapsed() < memory.probeAt) {
        memory.passedOver++
        return null
      }
      memory.probing = true
      return settlerFor(upstream, memory, true)
    },
    insist: (upstream) => settlerFor(upstream, memoryOf(upstream), false),
  }
}

/**
 * No head at all, or a server error. 501 is about the request and 529 about the moment; every
 * other status comes from an upstream that is there.
 */
function isFailure(result: Exclude<AttemptResult, { kind: 'client-gone' }>): boolean {
  if (result.kind === 'failed') return true
  const { status } = result.answer
  return status >= 500 && status !== 501 && status !== 529
}
