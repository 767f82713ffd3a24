/**
 * Ordered failover: which upstream's answer the client gets. Owns when to move on, as one table of
 * statuses; the provider files own how to ask. It must never ask an upstream twice, nor ask
 * another one after the client left.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Health, Settle } from './health.ts'
import type { Answer, Ask, AttemptResult, Upstream } from './upstream.ts'

/** One candidate for an ask: the upstream and the model as it spells it. */
export interface Route {
  readonly upstream: Upstream
  readonly model: string
}

/** What one try of one upstream came to; for health memory and metrics. */
export interface Attempt {
  readonly upstream: Upstream
  readonly result: AttemptResult
  /** Until the head was there or the try had failed. */
  readonly ms: number
}

export type FailoverResult =
  /** The caller reads or cancels the answer's body. */
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** `attempts` counts every configured upstream, those skipped for this ask included. */
  | { readonly kind: 'exhausted'; readonly attempts: number }
  | { readonly kind: 'client-gone' }

export interface Failover {
  /** Asks `routes` in order until one answers for good; `path` is for the log. */
  first(routes: readonly Route[], ask: Ask, path: string): Promise<FailoverResult>
}

export interface FailoverDeps {
  readonly clock: Clock
  readonly log: Log
  /** How many upstreams the configuration has. */
  readonly configured: number
  /** Called once for every try, before the next one. What it throws is logged. */
  readonly observe?: (attempt: Attempt) => void
  /** Without it the routes are asked in their order, whatever happened before. */
  readonly health?: Health | undefined
}

/**
 * Statuses after which the next upstream is asked, ranked by which answer is kept when none does
 * better: the higher wins, of equals the last. Rank 0 is never kept, except below.
 */
function rank(status: number): number | null {
  if (status === 429) return 4
  if (status === 401 || status === 403) return 3
  if (status === 404) return 2
  if (status === 501) return 1
  return status >= 500 ? 0 : null
}

/**
 * With one upstream there is nobody to fail over to, and its "come back later" serves the client
 * better than our 502: it carries the status and the `retry-after` that clients obey.
 */
const relayedWhenAlone: ReadonlySet<number> = new Set([503, 529])

export function createFailover(deps: FailoverDeps): Failover {
  const { clock, log, configured, observe } = deps
  const attempt = async (route: Route, ask: Ask): Promise<AttemptResult> => {
    const startedAt = clock.elapsed()
    const result = await route.upstream.send(ask, route.model)
    try {
      observe?.({ upstream: route.upstream, result, ms: clock.elapsed() - startedAt })
    } catch (error) {
      log.error(`upstream observer failed request_id=${ask.requestId}: ${String(error)}`)
    }
    return result
  }

  const first: Failover['first'] = async (routes, ask, path) => {
    let kept: { readonly answer: Answer; readonly rank: number } | null = null
    const reasons: string[] = []
    for (const { route, settle } of inOrder(routes, deps.health, () => kept !== null)) {
      if (ask.signal.aborted) {
        settle?.({ kind: 'client-gone' })
        return leave(kept?.answer)
      }
      const result = await attempt(route, ask)
      settle?.(result)
      if (result.kind === 'client-gone') return leave(kept?.answer)
      if (result.kind === 'failed') {
        reasons.push(`${route.upstream.name}: ${result.reason}`)
        log.warn(
          `upstream failed, trying next request_id=${ask.requestId}: ${route.upstream.name}: ${result.reason}`,
        )
        continue
      }
      const { answer } = result
      const place = verdict(answer, configured)
      if (place === null) {
        discard(kept?.answer)
        return answered(answer, ask, path)
      }
      reasons.push(`${answer.upstream}: ${answer.reason}`)
      if (place > 0 && place >= (kept?.rank ?? 0)) {
        discard(kept?.answer)
        kept = { answer, rank: place }
      } else {
        discard(answer)
      }
    }
    if (ask.signal.aborted) return leave(kept?.answer)
    if (kept !== null) return answered(kept.answer, ask, path)
    log.warn(`all upstreams failed request_id=${ask.requestId}: ${reasons.join('; ')}`)
    log.warn(`upstream 502 on ${path} request_id=${ask.requestId}`)
    return { kind: 'exhausted', attempts: configured }
  }

  const answered = (answer: Answer, ask: Ask, path: string): FailoverResult => {
    if (answer.status >= 500) {
      log.warn(`upstream ${answer.status} on ${path} request_id=${ask.requestId}`)
    }
    return { kind: 'answered', answer }
  }
  return { first }
}

interface Try {
  readonly route: Route
  readonly settle?: Settle
}

/** Routes as they are to be asked; what health memory passes over comes last, if still needed. */
function* inOrder(
  routes: readonly Route[],
  health: Health | undefined,
  isHelped: () => boolean,
): Generator<Try, void> {
  const passedOver: Route[] = []
  for (const route of routes) {
    const settle = health?.begin(route.upstream)
    if (settle === undefined) yield { route }
    else if (settle === null) passedOver.push(route)
    else yield { route, settle }
  }
  for (const route of passedOver) {
    const settle = isHelped() ? undefined : health?.insist(route.upstream)
    if (settle !== undefined) yield { route, settle }
  }
}

/** The rank of an answer to move on from, or null when it is the client's. */
function verdict({ status, final }: Answer, configured: number): number | null {
  if (final === true) return null
  if (configured === 1 && relayedWhenAlone.has(status)) return null
  return rank(status)
}

function leave(kept: Answer | undefined): FailoverResult {
  discard(kept)
  return { kind: 'client-gone' }
}

/** An answer nobody will read gives its connection back. */
function discard(answer: Answer | undefined): void {
  if (!(answer?.body instanceof ReadableStream)) return
  // A body that broke meanwhile rejects here, and nobody is left to care.
  answer.body.cancel().catch(() => {})
}
