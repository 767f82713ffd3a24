/**
 * The one statement with which a replica and the database agree about spend: counts a batch and
 * asks where callers stand (`store/migrations/spend-sync.ts`). Turns values into its JSON and its
 * answer back into values; knows no policy and keeps no state.
 */
import type { Store } from '../store/store.ts'
import type { PeriodName } from './period.ts'
import { periodsAt } from './period.ts'

/** What one caller with one set of groups spent on one UTC day. */
export interface Entry {
  readonly sub: string
  readonly groups: readonly string[]
  readonly day: string
  readonly week: string
  readonly month: string
  readonly cents: number
  /** Whether the person's row is written too. */
  readonly identity: boolean
  readonly email: string | null
  readonly name: string | null
}

/** Counted once, however often it is sent. */
export interface Batch {
  /** UUID. */
  readonly id: string
  readonly entries: readonly Entry[]
}

export interface Ask {
  readonly sub: string
  readonly groups: readonly string[]
  /** Most cents of a spare lease. */
  readonly want: number
  /** Cents held by calls under way. */
  readonly held: number
  /** Cents of calls that wait for room. */
  readonly holds: readonly number[]
}

export interface PoolAsk {
  readonly id: string
  readonly want: number
  readonly held: number
}

/** The cap of one period, and what was spent in it. */
export interface CapState {
  readonly period: PeriodName
  /** Whole cents; null: unlimited. */
  readonly cap: bigint | null
  readonly source: 'user' | 'rbac_group' | 'organization'
  readonly id: string
  readonly spent: number
}

/** A shared monthly budget that is not paused. */
export interface PoolState {
  readonly group: string
  readonly limit: bigint
  readonly spent: number
}

export interface AccountState {
  readonly caps: readonly CapState[]
  readonly pools: readonly PoolState[]
  /** Cents this replica may let the caller spend before it asks again; 0: ask each time. */
  readonly lease: number
  /** How many of the ask's `holds` there was room for, from the first on. */
  readonly granted: number
}

export interface SyncRequest {
  readonly mode: 'min' | 'max'
  readonly now: number
  readonly batch: Batch | null
  readonly asks: readonly Ask[]
  readonly pools: readonly PoolAsk[]
}

export interface SyncResult {
  readonly revision: bigint
  /** In the order of the asks. */
  readonly accounts: readonly AccountState[]
  readonly poolLeases: ReadonlyMap<string, number>
}

export type Sync = (request: SyncRequest) => Promise<SyncResult>

/**
 * A lease is renewed while its caller is active; one of a dead replica keeps money from others
 * for this long.
 */
export const leaseSeconds = 10

/** Cents a caller gets whose habits are unknown: one long answer of a large model. */
export const defaultWant = 50

/** Rejects with `store/unavailable` after `timeoutMs`: then nobody knows whether it counted. */
export function createSync(store: Store, replica: string, timeoutMs: number): Sync {
  let seq = 0
  return async ({ mode, now, batch, asks, pools }) => {
    const periods = periodsAt(now)
    seq += 1
    const request = {
      replica,
      seq,
      mode,
      want: defaultWant,
      lease_seconds: leaseSeconds,
      periods: {
        daily: periods.daily.key,
        weekly: periods.weekly.key,
        monthly: periods.monthly.key,
      },
      batch,
      asks,
      pools,
    }
    const { rows } = await store.query<{ reply: Reply }>(
      'SELECT gateway_spend_sync($1) AS reply',
      [storable(request)],
      { timeoutMs },
    )
    const reply = rows[0]?.reply
    if (reply === undefined) throw new Error('gateway_spend_sync returned nothing')
    return {
      revision: BigInt(reply.revision),
      accounts: reply.accounts.map(readAccount),
      poolLeases: new Map(reply.pools.map(({ id, lease }) => [id, lease])),
    }
  }
}

/** What the function returns; its shape is ours. */
interface Reply {
  readonly revision: string
  readonly accounts: readonly ReplyAccount[]
  readonly pools: readonly { readonly id: string; readonly lease: number }[]
}

interface ReplyAccount {
  readonly caps: readonly (Omit<CapState, 'cap'> & { readonly cap: string | null })[]
  readonly pools: readonly (Omit<PoolState, 'limit'> & { readonly limit: string })[]
  readonly lease: number
  readonly granted: number
}

function readAccount({ caps, pools, lease, granted }: ReplyAccount): AccountState {
  return {
    caps: caps.map(({ cap, ...rest }) => ({ ...rest, cap: cap === null ? null : BigInt(cap) })),
    pools: pools.map(({ limit, ...rest }) => ({ ...rest, limit: BigInt(limit) })),
    lease,
    granted,
  }
}

/**
 * JSON that PostgreSQL takes: it has no NUL in text and no half of a surrogate pair, both of which
 * a token may hold.
 */
function storable(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? part.replaceAll('\u0000', '').toWellFormed() : part,
  )
}
