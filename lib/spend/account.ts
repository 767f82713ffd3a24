/**
 * What one replica knows of a caller's caps: the database's figures of the last sync, what was
 * spent here since, and the lease out of which calls are admitted without asking. Values and
 * arithmetic only; `ledger.ts` fills them and decides when to ask.
 */
import type { Caller } from '../kernel/caller.ts'
import { DayCents } from './day-cents.ts'
import { type Period, periodsAt, startOfDay } from './period.ts'
import { type Standing, standingOf } from './standing.ts'
import {
  type AccountState,
  type CapState,
  defaultWant,
  leaseSeconds,
  type PoolState,
} from './sync.ts'

/** Money that may be spent before the database is asked again. */
export class Allowance {
  /** Cents of the lease. */
  lease = 0
  /** Accrued here, and not in the figures of the last sync. */
  since: DayCents = new DayCents()
  /** Accrued here, and not counted in the database yet. */
  readonly unsettled: DayCents = new DayCents()
  /** Cents reserved for calls under way; part of the lease. */
  held = 0
  /** The database is being asked about it. */
  isAsked = false
  /** Part of the lease was held and is not any more: others may be waiting for it. */
  hasGivenBack = false
  /** Cents of about the last minute. */
  #burn = 0
  #burnAt = 0

  get free(): number {
    return this.lease - this.since.total - this.held
  }

  /** Whether there are `cents` left of the lease, and any at all. */
  covers(cents: number): boolean {
    const { free } = this
    return free > 0 && free >= cents
  }

  get isHalfUsed(): boolean {
    return this.free <= this.lease / 2
  }

  accrue(cents: number, { now, elapsed }: Time): void {
    const day = startOfDay(now)
    this.since.add(day, cents)
    this.unsettled.add(day, cents)
    this.#burn = this.#burn * Math.exp((this.#burnAt - elapsed) / burnMs) + cents
    this.#burnAt = elapsed
  }

  /** `day`: as the batch names it. */
  settle(cents: number, day: string): void {
    this.unsettled.take(Date.parse(day), cents)
  }

  /** The database's figures were read, of which `unsettled` is not a part. */
  synced(lease: number): void {
    this.lease = lease
    this.since = this.unsettled.copy()
  }

  /**
   * What the database must leave to this replica beside its own figures: calls under way, and
   * what was spent but is not in those figures once `counted` cents of it are.
   */
  outstanding(counted = 0): number {
    return this.held + Math.max(0, this.unsettled.total - counted)
  }

  /** A lease worth about a minute, so that a busy caller asks rarely. */
  get want(): number {
    return Math.max(defaultWant, this.#burn)
  }
}

const burnMs = 60_000

/** The shared budget of a group, as one replica knows it. */
export class Pool extends Allowance {
  limit = 0n
  spent = 0
}

/** Figures without a lease are worth this long; so long a change made by SQL goes unseen. */
const freshMs = leaseSeconds * 1000
/** A refusal is remembered this long, so that a client that keeps trying costs no query each. */
const refusalMs = 1000
/** The database ends a lease a little later than the replica stops using it. */
const leaseMs = leaseSeconds * 1000 - 1000
/** Figures in use are renewed with the next flush from this age on … */
const renewMs = 4000
/**
 * … and those of limited callers from this one: what they are told of their limits, and what their
 * lease keeps from others, is no older. Each renewal costs the database a fraction of a millisecond.
 */
const renewLimitedMs = 1000
/** A person's row is written again after this long; its retention is counted in days. */
const identityMs = 60_000

export type Check =
  | { readonly kind: 'known'; readonly standing: Standing }
  /** `last` is what was known, for the case that nobody can be asked. */
  | { readonly kind: 'ask'; readonly last: Standing | null }

export class Account extends Allowance {
  readonly sub: string
  groups: readonly string[]
  caps: readonly CapState[] = []
  pools: readonly Pool[] = []
  poolNames: readonly string[] = []
  revision = -1n
  /** The figures and the lease are as old as the question … */
  #askedAt = Number.NEGATIVE_INFINITY
  /** … and a refusal is remembered from the answer on, or slow ones would never be. */
  #answeredAt = Number.NEGATIVE_INFINITY
  #period: Period | null = null
  /** A cap of the caller's own limits something. */
  #isCapped = false
  #identityAt = Number.NEGATIVE_INFINITY
  #identity: Caller | null = null

  constructor(caller: Caller) {
    super()
    this.sub = caller.sub
    this.groups = caller.groups
  }

  /** The database's word, `unsettled` not included. */
  update(
    state: AccountState,
    pools: readonly Pool[],
    revision: bigint,
    askedAt: Time,
    answeredAt: number,
  ): void {
    this.caps = state.caps
    this.#isCapped = state.caps.some(({ cap }) => cap !== null)
    this.pools = pools
    this.poolNames = state.pools.map(({ group }) => group)
    this.synced(state.lease)
    this.revision = revision
    this.#askedAt = askedAt.elapsed
    this.#answeredAt = answeredAt
    this.#period = periodsAt(askedAt.now).daily
  }

  /** Whether something limits this caller. */
  get isLimited(): boolean {
    return this.#isCapped || this.pools.length > 0
  }

  standing(now: number): Standing {
    const { startsAt } = periodsAt(now).monthly
    const pools = this.pools.map(({ limit, spent, since }, index): PoolState => ({
      group: this.poolNames[index] ?? '',
      limit,
      spent: spent + since.from(startsAt),
    }))
    return standingOf(this.caps, pools, now, this.since)
  }

  /**
   * The standing of a call there is no room for: of the limits that are not spent, the one with
   * the least left is promised to calls under way.
   */
  promised(now: number): Standing {
    const standing = this.standing(now)
    if (standing.kind === 'over-cap' || standing.kind === 'over-pool') return standing
    const [pool] = this.pools.toSorted((a, b) => leftOf(a) - leftOf(b))
    const left = this.caps.flatMap(({ cap, spent }) => (cap === null ? [] : [Number(cap) - spent]))
    if (standing.kind === 'within' && (pool === undefined || Math.min(...left) <= leftOf(pool))) {
      return { kind: 'over-cap', cap: standing.cap }
    }
    if (pool === undefined) return standing
    const { limit, spent } = pool
    const group = this.poolNames[this.pools.indexOf(pool)] ?? ''
    const { endsAt } = periodsAt(now).monthly
    return { kind: 'over-pool', groups: [group], cents: limit, spent, endsAt }
  }

  check({ groups }: Caller, revision: bigint, { now, elapsed }: Time): Check {
    const isCurrent =
      this.#period !== null &&
      this.revision >= revision &&
      now < this.#period.endsAt &&
      sameGroups(groups, this.groups)
    if (!isCurrent) return { kind: 'ask', last: null }
    const age = elapsed - this.#askedAt
    const standing = this.standing(now)
    const isOver = standing.kind === 'over-cap' || standing.kind === 'over-pool'
    if (isOver) {
      const isRemembered = elapsed - this.#answeredAt < refusalMs
      return isRemembered ? { kind: 'known', standing } : { kind: 'ask', last: standing }
    }
    if (!this.isLimited) {
      return age < freshMs ? { kind: 'known', standing } : { kind: 'ask', last: null }
    }
    const hasRoom = age < leaseMs && this.hasRoomFor(0)
    return hasRoom ? { kind: 'known', standing } : { kind: 'ask', last: null }
  }

  /** Whether the lease, and that of each pool, covers `cents` more and is not used up. */
  hasRoomFor(cents: number): boolean {
    if (this.#isCapped && !this.covers(cents)) return false
    for (const pool of this.pools) if (!pool.covers(cents)) return false
    return true
  }

  #limits(): readonly Allowance[] {
    return this.#isCapped ? [this, ...this.pools] : this.pools
  }

  hold(cents: number): void {
    for (const allowance of [this, ...this.pools]) allowance.held += cents
  }

  release(cents: number): void {
    for (const allowance of [this, ...this.pools]) {
      allowance.hasGivenBack = true
      allowance.held = Math.max(0, allowance.held - cents)
    }
  }

  /** Whether what is known is old enough, or a lease so far used, to be renewed with a flush. */
  wantsRenewal(elapsed: number): boolean {
    const age = elapsed - this.#askedAt
    if (!this.isLimited) return age > renewMs
    const limits = this.#limits()
    return age > renewLimitedMs || limits.some((limit) => limit.hasGivenBack || limit.isHalfUsed)
  }

  /** Whether a lease that holds money for calls under way would end soon. */
  wantsExtension(elapsed: number): boolean {
    return this.held > 0 && elapsed - this.#askedAt > renewMs
  }

  /** True when the person's row is to be written now; the next time after a while. */
  takeIdentity(caller: Caller, elapsed: number): boolean {
    const isWritten = elapsed - this.#identityAt < identityMs && isSame(caller, this.#identity)
    if (isWritten) return false
    this.#identity = caller
    this.#identityAt = elapsed
    return true
  }
}

/** One moment on both clocks, in milliseconds. */
export interface Time {
  readonly now: number
  readonly elapsed: number
}

function sameGroups(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((group, index) => group === b[index]))
}

function isSame({ email, name, groups }: Caller, other: Caller | null): boolean {
  return (
    other !== null &&
    email === other.email &&
    name === other.name &&
    sameGroups(groups, other.groups)
  )
}

function leftOf({ limit, spent }: Pool): number {
  return Number(limit) - spent
}
