/**
 * What docs/decisions/0011 promises, as predicates over the naive model: when a replica may still
 * let a call pass, and when it may refuse one.
 */
import type { Caller } from '../../../lib/kernel/caller.ts'
import { periodNames } from '../../../lib/spend/period.ts'
import { type Book, type Scope, sum, type Version } from './book.ts'

export interface Decision {
  readonly caller: Caller
  readonly startedAt: number
  readonly endedAt: number
  readonly replica: {
    readonly name: string
    readonly bornAt: number
    /** Since when it can talk to the database; infinite while it cannot. */
    readonly fairSince: number
  }
  /** Cents that may be promised to calls and leases under this limit: nothing without `reserve`. */
  readonly promised: (scope: Scope) => number
}

/** Simulated time moves in steps, and the database is looked at once in each. */
export const stepMs = 25
export const slackMs = 60
/** A statement that hangs, the pause before the next try, and a flush. */
export const recoveryMs: number = 1500 + 1000 + 100 + slackMs
export const flushMs = 100
const pollMs = 1000
const leaseMs = 9000
/** What nobody announced is seen when figures or leases end. */
const silentMs = 10_000

export function scopesOf({ sub, groups }: Caller): Scope[] {
  return [
    ...periodNames.map((period): Scope => ({ kind: 'user', id: sub, period })),
    ...groups.map((id): Scope => ({ kind: 'pool', id, period: 'monthly' })),
  ]
}

/** Null, or what is wrong with letting this call pass. */
export function wronglyAdmitted(book: Book, decision: Decision): string | null {
  for (const scope of scopesOf(decision.caller)) {
    const problems = believable(book, scope, decision).map((version) =>
      mayPass(book, scope, version, decision),
    )
    if (problems.length > 0 && !problems.includes(null)) {
      return `${scope.kind} ${scope.id} ${scope.period}: ${problems.join(', or ')}`
    }
  }
  return null
}

export function isRightlyRefused(book: Book, decision: Decision): boolean {
  return scopesOf(decision.caller).some((scope) =>
    believable(book, scope, decision).some(({ amount }) => {
      if (amount === null) return false
      return [decision.startedAt, decision.endedAt].some(
        (at) => sum(book.under(scope, at)) + decision.promised(scope) >= amount,
      )
    }),
  )
}

/** What a caller is told of their fullest cap, and what of it is true at most. */
export function overstated(book: Book, decision: Decision, told: number): string | null {
  const shares = scopesOf(decision.caller).flatMap((scope) =>
    believable(book, scope, decision).flatMap(({ amount }) =>
      scope.kind === 'pool' || amount === null || amount === 0
        ? []
        : [decision.startedAt, decision.endedAt].map((at) => sum(book.under(scope, at)) / amount),
    ),
  )
  // Two places, and never the whole of it.
  const most = Math.max(0, ...shares)
  return told <= most + 0.0051
    ? null
    : `${told} of the limit are said to be spent, and it is ${most}`
}

/** Versions of a limit that this replica may take for the one in force. */
function believable(book: Book, scope: Scope, decision: Decision): Version[] {
  const { startedAt, endedAt, replica } = decision
  const versions = book.versions(scope)
  return versions.filter(({ from, until }, index) => {
    if (from > endedAt) return false
    const next = versions[index + 1]
    if (next === undefined || until >= startedAt) return true
    if (replica.bornAt > until || next.by === replica.name) return false
    const steadySince = replica.fairSince + recoveryMs
    const heardBy = Math.max(until, steadySince) + pollMs + slackMs
    return startedAt <= (next.by === null ? Math.max(heardBy, until + silentMs) : heardBy)
  })
}

function mayPass(book: Book, scope: Scope, version: Version, decision: Decision): string | null {
  const { caller, startedAt, endedAt, replica } = decision
  const { amount } = version
  if (amount === null) return null
  const knownSince = book.knownSince(scope, amount, endedAt)
  const reachedAt = Math.max(knownSince, version.from)
  const own = book.under(scope, endedAt).filter((call) => call.replica === replica.name)
  // What happened at this very moment may not have been seen.
  if (sum(own.filter(({ at }) => at < startedAt)) >= amount && scope.kind === 'user') {
    return `${amount} cents were spent here alone`
  }
  if (startedAt <= reachedAt + slackMs) return null
  const since = `the database has known for ${startedAt - reachedAt} ms that ${amount} cents are spent`
  if (replica.bornAt > reachedAt) return `${since}, and this replica is younger`
  if (startedAt > reachedAt + leaseMs + slackMs) return `${since}; no lease is that old`
  if (amount < 10) return `${since}; there is no lease of such a limit`
  const later = own.filter(({ at, sub }) => sub === caller.sub && at > reachedAt + slackMs)
  if (sum(later) >= amount / 10) return `${since}; the lease is used up`
  const isSteady =
    replica.fairSince + recoveryMs <= reachedAt || replica.fairSince <= replica.bornAt
  if (isSteady && later.some(({ at }) => at < startedAt - flushMs - slackMs)) {
    return `${since}, and it was asked since`
  }
  return null
}
