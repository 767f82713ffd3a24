/**
 * The `inference` audit line: one per call, written when the call is over, whatever ended it. The
 * reference writes it at the response head, where an abort and a cut look like success; here the
 * fields it has keep their names and order, and the outcome and figures follow them.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Audit } from '../kernel/log.ts'
import type { Outcome, Tap } from '../stream/tap.ts'
import type { BillingGroup } from './billing-group.ts'

export type InferenceOutcome =
  | 'complete'
  | 'client_abort'
  | 'upstream_cut'
  /** Ended by itself, but without the event that ends a message. */
  | 'upstream_incomplete'
  | 'timeout'
  /** Refused here: no upstream's answer reached the client. */
  | 'refused'

/** Counted figures of an answer; absent ones were not metered. */
export interface Figures {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_input_tokens: number
  readonly cache_creation_input_tokens: number
  readonly estimated: boolean
  /** What the answer cost. */
  readonly cents: number
}

export interface InferenceEntry {
  /** The model as the client spelled it; only its first 256 characters are written. */
  model: string | null
  upstream: string | null
  upstreamRequestId: string | null
  upstreamCloudRequestId: string | null
  billing: BillingGroup
  loadTest: boolean
  /**
   * Watches the answer; writes the line when it settles, or once its figures are there: a promise
   * of them never rejects. `status` is the answer's.
   */
  tap(status: number, finish: (outcome: Outcome) => Finish | Promise<Finish>): Tap
  /** Writes the line of a call that ends without an upstream's answer. */
  end(status: number, outcome: InferenceOutcome): void
}

/** What the other taps know once the answer is over. */
export interface Finish {
  readonly outcome: InferenceOutcome
  readonly usage: Figures | undefined
}

interface Opening {
  readonly requestId: string
  readonly caller: Caller
  readonly path: string
  /** `clock.elapsed()` when the request's head was there. */
  readonly startedAt: number
}

/** A client may send any text as a model; the audit keeps what a real name needs. */
const modelMaxLength = 256

const outcomes: Readonly<Record<Outcome, InferenceOutcome>> = {
  complete: 'complete',
  'client-gone': 'client_abort',
  'upstream-broke': 'upstream_cut',
  timeout: 'timeout',
}

/** The audit's word for how a response ended. */
export function outcomeOf(outcome: Outcome): InferenceOutcome {
  return outcomes[outcome]
}

export function openInferenceEntry(
  { requestId, caller, path, startedAt }: Opening,
  clock: Clock,
  audit: Audit,
): InferenceEntry {
  let firstByteAt: number | null = null
  const elapsed = (): number => Math.round(clock.elapsed() - startedAt)
  const write = (
    status: number,
    outcome: InferenceOutcome,
    usage?: Figures,
    ms: number = elapsed(),
  ): void =>
    audit('inference', {
      request_id: requestId,
      sub: caller.sub,
      email: caller.email,
      path,
      model: entry.model === null ? null : entry.model.slice(0, modelMaxLength),
      upstream: entry.upstream,
      upstream_request_id: entry.upstreamRequestId,
      upstream_cloud_request_id: entry.upstreamCloudRequestId,
      billing_group: entry.billing.kind === 'named' ? entry.billing.group : undefined,
      billing_group_ignored: entry.billing.kind === 'ignored' ? true : undefined,
      status,
      ms,
      load_test: entry.loadTest ? true : undefined,
      ttfb_ms: firstByteAt === null ? undefined : Math.round(firstByteAt - startedAt),
      outcome,
      input_tokens: usage?.input_tokens,
      output_tokens: usage?.output_tokens,
      cache_read_input_tokens: usage?.cache_read_input_tokens,
      cache_creation_input_tokens: usage?.cache_creation_input_tokens,
      estimated: usage?.estimated,
      cents: usage?.cents,
    })

  const entry: InferenceEntry = {
    model: null,
    upstream: null,
    upstreamRequestId: null,
    upstreamCloudRequestId: null,
    billing: { kind: 'none' },
    loadTest: false,
    tap: (status, finish) => ({
      name: 'audit',
      chunk() {
        firstByteAt ??= clock.elapsed()
      },
      settle(ended) {
        const ms = elapsed()
        const writeLine = ({ outcome, usage }: Finish): void => write(status, outcome, usage, ms)
        const finished = finish(ended)
        if (finished instanceof Promise) void finished.then(writeLine)
        else writeLine(finished)
      },
    }),
    end: write,
  }
  return entry
}
