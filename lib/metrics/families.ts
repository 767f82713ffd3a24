/**
 * Every number the gateway counts about itself: names, units and meaning in one place
 * (docs/metrics.md is checked against it). Reads most of it off the audit, which ends every
 * request in one line; the rest is asked for at a scrape.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../kernel/clock.ts'
import type { Audit, AuditValue } from '../kernel/log.ts'
import { productVersion } from '../kernel/version.ts'
import type { Store } from '../store/store.ts'
import type { Tap } from '../stream/tap.ts'
import type { Registry, Sample } from './registry.ts'

export interface Observers {
  /** Sees every audit line. */
  readonly audit: Audit
  /** One request answered by a route of the table, or by `other`. */
  readonly request: (route: string, status: number) => void
  /** One try of an upstream: how it ended, and the time to its head. */
  readonly attempt: (upstream: string, result: string, ms: number) => void
  /**
   * Watches an answer from the moment the upstream's head is there. `beforeMs` is what the gateway
   * took of the call until then: up to the first try, without waiting for the client's body.
   */
  readonly answer: (beforeMs: number, streams: boolean) => Tap
  readonly telemetryLost: (destination: string) => void
}

/** What is asked for at a scrape. */
export interface Sources {
  readonly admission: { readonly open: number; readonly waiting: number }
  readonly store: Pick<Store, 'connections'>
  readonly ready: () => boolean
  readonly spend: {
    stats(): {
      readonly rows: number
      readonly cents: number
      readonly waitedMs: number
      readonly accounts: number
      readonly syncs: number
      readonly asks: number
    }
  } | null
  readonly certificates: () => readonly { readonly key: string; readonly endsAt: number }[]
  readonly process: {
    memory(): { readonly rss: number; readonly heapUsed: number }
    /** Seconds of CPU. */
    cpu(): number
    readonly nodeVersion: string
  }
  readonly linesLost: () => number
  readonly telemetry: () => {
    readonly bytes: number
    readonly reports: ReadonlyMap<string, number>
  }
  readonly revokedSessions: () => number
  readonly auditFile: (() => { readonly failures: number; readonly waitingBytes: number }) | null
}

/** Models that may be a label; anything else a client asks for counts as `other`. */
export type IsModel = (model: string) => boolean

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
/** Our own work is counted in fractions of a millisecond. */
const fineSeconds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1]

export function createObservers(registry: Registry, isModel: IsModel, clock: Clock): Observers {
  const requests = registry.counter(
    'gateway_http_requests_total',
    'Requests answered, by route of the surface and status.',
    ['route', 'status'],
  )
  const attempts = registry.counter(
    'gateway_upstream_attempts_total',
    'Tries of upstreams, by result: a status, failed (no head) or client-gone.',
    ['upstream', 'result'],
  )
  const heads = registry.histogram(
    'gateway_upstream_head_seconds',
    'Time from a try to the head of the upstream, or to its failure.',
    seconds,
    ['upstream'],
  )
  const lost = registry.counter(
    'gateway_telemetry_lost_total',
    'Reports of clients that a collector did not get.',
    ['destination'],
  )
  const events = createEvents(registry, isModel)
  return {
    audit: (event, fields) => events.get(event)?.(fields),
    request: (route, status) => requests.with(route, String(status)).add(),
    attempt(upstream, result, ms) {
      attempts.with(upstream, result).add()
      heads.with(upstream).observe(ms / 1000)
    },
    answer: createAnswerWatch(registry, clock),
    telemetryLost: (destination) => lost.with(destination).add(),
  }
}

function createAnswerWatch(registry: Registry, clock: Clock): Observers['answer'] {
  const added = registry
    .histogram(
      'gateway_added_latency_seconds',
      'Time that the gateway adds to an answered call: from its head to the first try, without waiting for its body, and from the head of the upstream to ours.',
      fineSeconds,
    )
    .with()
  let streams = 0
  registry.gauge('gateway_open_streams', 'Streamed answers being sent now.', () => [
    { value: streams },
  ])
  return (beforeMs, isStream) => {
    const answeredAt = clock.elapsed()
    if (isStream) streams += 1
    return {
      name: 'metrics',
      head: () => added.observe((beforeMs + clock.elapsed() - answeredAt) / 1000),
      settle() {
        if (isStream) streams -= 1
      },
    }
  }
}

type Fields = Readonly<Record<string, AuditValue>>
type OnEvent = (fields: Fields) => void

function createEvents(registry: Registry, isModel: IsModel): ReadonlyMap<string, OnEvent> {
  const counted = (
    name: string,
    help: string,
    label: string,
    read: (fields: Fields) => AuditValue,
  ): OnEvent => {
    const family = registry.counter(name, help, [label])
    return (fields) => family.with(labelOf(read(fields))).add()
  }
  const signIns = registry.counter(
    'gateway_sign_ins_total',
    'Sessions minted or refreshed, by result.',
    ['kind', 'result'],
  )
  const signIn =
    (kind: string): OnEvent =>
    ({ result }) =>
      signIns.with(kind, labelOf(result)).add()
  return new Map<string, OnEvent>([
    ['inference', createInferenceEvent(registry, isModel)],
    [
      'spend.blocked',
      counted(
        'gateway_spend_blocked_total',
        'Calls refused for a cap, by cause.',
        'cause',
        ({ cause, source }) => source ?? cause,
      ),
    ],
    ['session.mint', signIn('sign-in')],
    ['session.refresh', signIn('refresh')],
    [
      'auth.denied',
      counted(
        'gateway_auth_denied_total',
        'Requests without a valid session, by reason.',
        'reason',
        ({ reason }) => reason,
      ),
    ],
    [
      'admin.denied',
      counted(
        'gateway_admin_denied_total',
        'Calls of the Admin API without valid credentials, by reason.',
        'reason',
        ({ reason }) => reason,
      ),
    ],
    [
      'config.load',
      counted('gateway_config_loads_total', 'Configurations put in use.', 'result', () => 'loaded'),
    ],
  ])
}

const tokenKinds = [
  ['input', 'input_tokens'],
  ['output', 'output_tokens'],
  ['cache_read', 'cache_read_input_tokens'],
  ['cache_write', 'cache_creation_input_tokens'],
] as const

function createInferenceEvent(registry: Registry, isModel: IsModel): OnEvent {
  const calls = registry.counter(
    'gateway_inference_total',
    'Calls of /v1/messages and count_tokens that were not refused for a cap, by how they ended.',
    ['upstream', 'model', 'outcome', 'status'],
  )
  const firstBytes = registry.histogram(
    'gateway_ttfb_seconds',
    'Time from the head of a call to the first byte of its answer.',
    seconds,
    ['upstream'],
  )
  const durations = registry.histogram(
    'gateway_duration_seconds',
    'Time from the head of a call to the end of its answer.',
    seconds,
    ['upstream'],
  )
  const tokens = registry.counter('gateway_tokens_total', 'Tokens metered, by kind and model.', [
    'kind',
    'model',
  ])
  const cents = registry.counter('gateway_spend_cents_total', 'Cost of metered calls, US cents.', [
    'upstream',
  ])
  return (fields) => {
    const model = modelLabel(fields['model'], isModel)
    const upstream = typeof fields['upstream'] === 'string' ? fields['upstream'] : 'none'
    const { outcome, ttfb_ms, ms } = { outcome: '', ttfb_ms: null, ms: null, ...fields }
    calls.with(upstream, model, labelOf(outcome), labelOf(fields['status'])).add()
    if (typeof ttfb_ms === 'number') firstBytes.with(upstream).observe(ttfb_ms / 1000)
    if (typeof ms === 'number') durations.with(upstream).observe(ms / 1000)
    for (const [kind, field] of tokenKinds) {
      const count = fields[field]
      if (typeof count === 'number' && count > 0) tokens.with(kind, model).add(count)
    }
    if (typeof fields['cents'] === 'number') cents.with(upstream).add(fields['cents'])
  }
}

function labelOf(value: AuditValue): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'none'
}

/** In lower case: a client may spell one model in any number of ways. */
function modelLabel(asked: AuditValue, isModel: IsModel): string {
  if (typeof asked !== 'string') return 'none'
  return isModel(asked) ? asked.toLowerCase() : 'other'
}

/** Sampled all the time, at a cost of one timer. */
const loopResolutionMs = 20

/** Everything that is asked for at a scrape; returns the end of it. */
export function registerGauges(registry: Registry, sources: Sources): () => void {
  const loop = monitorEventLoopDelay({ resolution: loopResolutionMs })
  loop.enable()
  const { admission, store, spend } = sources
  registry.gauge('gateway_build_info', 'Always 1; the labels say what runs.', () => [
    { labels: { version: productVersion, node: sources.process.nodeVersion }, value: 1 },
  ])
  registry.gauge('gateway_ready', '1 while /readyz answers ready.', () =>
    one(sources.ready() ? 1 : 0),
  )
  registry.gauge('gateway_open_calls', 'Inference calls open now.', () => one(admission.open))
  registry.gauge('gateway_waiting_calls', 'Calls that wait for room.', () => one(admission.waiting))
  registry.gauge('gateway_database_connections', 'Connections to PostgreSQL, by state.', () => {
    const { open, idle, waiting, max } = store.connections()
    const states = { open, idle, waiting, max }
    return Object.entries(states).map(([state, value]) => ({ labels: { state }, value }))
  })
  registry.gauge('gateway_certificate_not_after_seconds', 'End of a certificate, Unix time.', () =>
    sources.certificates().map(({ key, endsAt }) => ({
      labels: { certificate: key },
      value: endsAt / 1000,
    })),
  )
  registry.gauge(
    'gateway_event_loop_delay_seconds',
    'Delay of the event loop since the last scrape.',
    () => {
      const [p50, p99] = [loop.percentile(50), loop.percentile(99)]
      const values = { p50, p99, max: loop.max }
      loop.reset()
      return Object.entries(values).map(([quantile, nanoseconds]) => ({
        labels: { quantile },
        value: Math.max(0, nanoseconds / 1e9 - loopResolutionMs / 1000),
      }))
    },
  )
  registry.gauge(
    'gateway_revoked_sessions',
    'Revoked sessions that would not have ended yet.',
    () => one(sources.revokedSessions()),
  )
  registerTelemetry(registry, sources)
  registerProcess(registry, sources)
  if (spend !== null) registerSpend(registry, spend)
  const { auditFile } = sources
  if (auditFile !== null) {
    registry.total(
      'gateway_audit_file_failures_total',
      'Writes of the audit file that failed.',
      () => one(auditFile().failures),
    )
    registry.gauge('gateway_audit_file_waiting_bytes', 'Audit lines that wait to be written.', () =>
      one(auditFile().waitingBytes),
    )
  }
  return () => loop.disable()
}

function one(value: number): readonly Sample[] {
  return [{ value }]
}

function registerTelemetry(registry: Registry, { telemetry }: Sources): void {
  registry.gauge(
    'gateway_telemetry_queue_bytes',
    'Reports that wait for collectors, all together.',
    () => one(telemetry().bytes),
  )
  registry.gauge('gateway_telemetry_queue_reports', 'Reports that wait for a collector.', () =>
    [...telemetry().reports].map(([destination, value]) => ({ labels: { destination }, value })),
  )
}

function registerProcess(registry: Registry, { process, linesLost }: Sources): void {
  registry.total('gateway_log_lines_lost_total', 'Log lines lost because nobody read them.', () =>
    one(linesLost()),
  )
  registry.gauge('process_resident_memory_bytes', 'Resident memory.', () =>
    one(process.memory().rss),
  )
  registry.gauge('process_heap_bytes', 'Heap in use.', () => one(process.memory().heapUsed))
  registry.total('process_cpu_seconds_total', 'CPU time, user and system.', () =>
    one(process.cpu()),
  )
}

function registerSpend(registry: Registry, spend: NonNullable<Sources['spend']>): void {
  const of = (read: (stats: ReturnType<typeof spend.stats>) => number) => (): readonly Sample[] => [
    { value: read(spend.stats()) },
  ]
  registry.gauge(
    'gateway_ledger_rows',
    'Rows of spend that wait for PostgreSQL.',
    of(({ rows }) => rows),
  )
  registry.gauge(
    'gateway_ledger_cents',
    'US cents that wait for PostgreSQL.',
    of(({ cents }) => cents),
  )
  registry.gauge(
    'gateway_ledger_age_seconds',
    'How long the oldest of it has waited.',
    of(({ waitedMs }) => waitedMs / 1000),
  )
  registry.gauge(
    'gateway_accounts',
    'Callers whose caps are remembered.',
    of(({ accounts }) => accounts),
  )
  registry.total(
    'gateway_spend_syncs_total',
    'Statements about spend.',
    of(({ syncs }) => syncs),
  )
  registry.total(
    'gateway_spend_asks_total',
    'Calls that had to wait for PostgreSQL to know their caps.',
    of(({ asks }) => asks),
  )
}
