/**
 * Lets a call pass or refuses it for its caps, and says so in the audit: what `inference.ts` asks
 * before it reads anything of a body, and with `extensions.spend.reserve` once more when it knows
 * what the call may cost. One per configuration; what it knows is the ledger's.
 */
import type { HeaderList, Reply } from '../http/exchange.ts'
import type { Caller } from '../kernel/caller.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Audit, Log } from '../kernel/log.ts'
import { type Amount, toCents } from './amount.ts'
import type { Ledger } from './ledger.ts'
import type { Verdict } from './question.ts'
import { type Refusal, refusalOf, unavailableRefusal, usageHeaders } from './usage-headers.ts'

export type Admitted =
  | { readonly kind: 'admitted'; readonly headers: HeaderList }
  | { readonly kind: 'refused'; readonly reply: Reply }

export type Reserved =
  /** `release` gives back what was held; more than once does nothing. */
  | { readonly kind: 'reserved'; readonly release: () => void }
  | { readonly kind: 'refused'; readonly reply: Reply }

export interface SpendGate {
  admit(caller: Caller, requestId: string): Admitted | Promise<Admitted>
  /** Holds the estimate of a call; passes at once unless `reserve` is on. */
  reserve(caller: Caller, requestId: string, amount: () => Amount): Reserved | Promise<Reserved>
  accrue(caller: Caller, amount: Amount): void
}

export interface GateConfig {
  /** `admin.blocked_message`. */
  readonly blocked_message?: string | undefined
  /** `enforcement.fail_closed_on_error`. */
  readonly fail_closed_on_error: boolean
  /** `extensions.spend.reserve`. */
  readonly reserve: boolean
}

export interface GateDeps {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

const nothingHeld: Reserved = { kind: 'reserved', release: () => {} }

/** Without `admin` everybody passes and nothing is counted. */
export const openGate: SpendGate = {
  admit: () => ({ kind: 'admitted', headers: [] }),
  reserve: () => nothingHeld,
  accrue: () => {},
}

export function createSpendGate(deps: GateDeps, config: GateConfig): SpendGate {
  const { ledger, clock, audit } = deps
  const refuse = (caller: Caller, requestId: string, refusal: Refusal) => {
    audit('spend.blocked', { request_id: requestId, sub: caller.sub, ...refusal.audit })
    return { kind: 'refused', reply: refusal.reply } as const
  }
  const options = () => ({ blockedMessage: config.blocked_message, nowMs: clock.now() })
  const decide = (caller: Caller, requestId: string, verdict: Verdict): Admitted => {
    if (verdict.kind === 'unknown') {
      if (config.fail_closed_on_error) {
        return refuse(caller, requestId, unavailableRefusal(options()))
      }
      return { kind: 'admitted', headers: [] }
    }
    const { standing } = verdict
    if (standing.kind === 'over-cap' || standing.kind === 'over-pool') {
      return refuse(caller, requestId, refusalOf(standing, options()))
    }
    return { kind: 'admitted', headers: usageHeaders(standing) }
  }
  const settleReserve = (
    caller: Caller,
    requestId: string,
    cents: number,
    verdict: Verdict,
  ): Reserved => {
    const admitted = decide(caller, requestId, verdict)
    if (admitted.kind === 'refused') {
      if (verdict.kind === 'standing' && verdict.granted) ledger.release(caller, cents)
      return admitted
    }
    if (verdict.kind === 'unknown' || !verdict.granted) return nothingHeld
    let isHeld = true
    const release = (): void => {
      if (isHeld) ledger.release(caller, cents)
      isHeld = false
    }
    return { kind: 'reserved', release }
  }
  return {
    admit(caller, requestId) {
      const verdict = ledger.standing(caller)
      if (verdict instanceof Promise) {
        return verdict.then((settled) => decide(caller, requestId, settled))
      }
      return decide(caller, requestId, verdict)
    },
    reserve(caller, requestId, amount) {
      if (!config.reserve) return nothingHeld
      const cents = toCents(amount())
      const verdict = ledger.hold(caller, cents)
      if (verdict instanceof Promise) {
        return verdict.then((settled) => settleReserve(caller, requestId, cents, settled))
      }
      return settleReserve(caller, requestId, cents, verdict)
    },
    accrue: (caller, amount) => ledger.accrue(caller, amount),
  }
}
