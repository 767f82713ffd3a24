/**
 * What clients are told about their limits: the usage headers of an answer and the whole refusal
 * of a call whose limit is reached. Names, order, rounding and texts are the reference's
 * (wire/inference/6-spend, wire/edge/4-admin-spend): clients parse all of them.
 */
import type { HeaderList, Reply } from '../http/exchange.ts'
import { json } from '../http/reply.ts'
import type { AuditValue } from '../kernel/log.ts'
import { type DescribedCap, type Standing, utilization } from './standing.ts'

type Over = Extract<Standing, { kind: 'over-cap' | 'over-pool' }>

/** A refused call: what the client gets, and the fields of its `spend.blocked` line. */
export interface Refusal {
  readonly reply: Reply
  readonly audit: Readonly<Record<string, AuditValue>>
}

export interface RefusalOptions {
  /** `admin.blocked_message`. */
  readonly blockedMessage: string | undefined
  readonly nowMs: number
}

const prefix = 'anthropic-ratelimit-unified-'

/** Shares above which clients warn people; exactly at one they do not. */
const thresholds = [0.95, 0.75] as const

/** Below the cap no rounding may say that it is reached. */
const belowCapMax = 0.99

/** Headers of a 2xx answer; none without a cap, and pools say nothing. */
export function usageHeaders(standing: Standing): HeaderList {
  if (standing.kind !== 'within') return []
  const share = utilization(standing.cap)
  const surpassed = thresholds.find((threshold) => share > threshold)
  const status = surpassed === undefined ? 'allowed' : 'allowed_warning'
  const reset = seconds(standing.cap.endsAt)
  const shown = Math.min(rounded(share), belowCapMax)
  return [
    [`${prefix}status`, status],
    [`${prefix}reset`, reset],
    [`${prefix}overage-reset`, reset],
    [`${prefix}overage-utilization`, String(shown)],
    ...threshold(surpassed),
    [`${prefix}representative-claim`, 'overage'],
    [`${prefix}overage-status`, status],
  ]
}

/** The refusal of a call whose cap, or whose group's budget, is spent. */
export function refusalOf(standing: Over, options: RefusalOptions): Refusal {
  const isPool = standing.kind === 'over-pool'
  const { cents, spent, endsAt } = isPool ? standing : standing.cap
  const period = isPool ? 'monthly' : standing.cap.period
  const reset = seconds(endsAt)
  const message = isPool ? poolMessage(endsAt, options) : capMessage(standing.cap)
  return {
    reply: refuse(message, options, [
      [`${prefix}status`, 'rejected'],
      [`${prefix}reset`, reset],
      [`${prefix}overage-reset`, reset],
      [`${prefix}overage-utilization`, String(rounded(utilization({ spent, cents })))],
      ...threshold(1),
      [`${prefix}overage-period`, period],
      ...(isPool ? ([[`${prefix}overage-scope`, 'group_pool']] as const) : []),
      [`${prefix}overage-disabled-reason`, 'org_spend_cap_reached'],
      ['retry-after', String(Math.max(1, Math.ceil((endsAt - options.nowMs) / 1000)))],
      ['x-should-retry', 'false'],
    ]),
    audit: {
      cause: 'over_limit',
      cap_cents: String(cents),
      source: isPool ? 'group_pool' : standing.cap.source,
      period,
      groups: isPool ? standing.groups : undefined,
    },
  }
}

/** The refusal of a call whose limit cannot be checked, under `fail_closed_on_error`. */
export function unavailableRefusal(options: RefusalOptions): Refusal {
  return {
    reply: refuse('spend limit unavailable', options, [
      [`${prefix}overage-disabled-reason`, 'fetch_error'],
      ['x-should-retry', 'false'],
    ]),
    audit: { cause: 'store_error' },
  }
}

/** The one refusal without a request id in its body. */
function refuse(message: string, { blockedMessage }: RefusalOptions, headers: HeaderList): Reply {
  const tail = hasTail(blockedMessage) ? [blockedMessage] : []
  const error = { type: 'billing_error', message: [message, ...tail].join(' · ') }
  return json(429, { type: 'error', error }, headers)
}

function capMessage({ cents, endsAt }: DescribedCap): string {
  // The next period of a cap of 0 is as closed as this one.
  return cents === 0n ? 'spend limit reached' : `spend limit reached · resets ${shortDay(endsAt)}`
}

function hasTail(blockedMessage: string | undefined): blockedMessage is string {
  return blockedMessage !== undefined && blockedMessage !== ''
}

/** A sentence with its full stop, unless the operator's words go on after it. */
function poolMessage(endsAt: number, { blockedMessage }: RefusalOptions): string {
  const at = new Date(endsAt)
  const month = at.toLocaleString('en-US', { month: 'long', timeZone: 'UTC' })
  return `This request exceeds your group's budget. Ask your organization's admins to raise it, or try again after it resets on ${month} ${at.getUTCDate()} at 00:00 UTC${hasTail(blockedMessage) ? '' : '.'}`
}

function shortDay(ms: number): string {
  return new Date(ms).toLocaleString('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' })
}

function threshold(value: number | undefined): HeaderList {
  return value === undefined ? [] : [[`${prefix}overage-surpassed-threshold`, String(value)]]
}

/** A share as it is shown: hundredths. */
function rounded(share: number): number {
  return Math.round(share * 100) / 100
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000))
}
