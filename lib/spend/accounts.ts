/**
 * All callers and shared budgets one replica knows of, bounded: whoever was not seen for long is
 * forgotten and asked about again. Applies what the database says; `ledger.ts` does the asking.
 */
import type { Caller } from '../kernel/caller.ts'
import { Account, type Allowance, Pool, type Time } from './account.ts'
import type { Entry, PoolAsk, PoolState, SyncResult } from './sync.ts'

/** About 600 bytes each. */
const accountsMax = 50_000
/** From so many on they are kept in order of use: whoever calls while the rest comes is kept. */
const orderedFrom = accountsMax / 2
/** Groups with a shared budget; an organization has dozens. */
const poolsMax = 10_000

/** An account and the groups it was asked about with. */
export type Asked = readonly (readonly [Account, readonly string[]])[]

export class Accounts {
  /** In order of last use, from `orderedFrom` on. */
  readonly #accounts = new Map<string, Account>()
  readonly #pools = new Map<string, Pool>()

  get size(): number {
    return this.#accounts.size
  }

  find(sub: string): Account | undefined {
    return this.#accounts.get(sub)
  }

  of(caller: Caller): Account {
    const known = this.#accounts.get(caller.sub)
    if (known !== undefined) {
      // Nobody is forgotten before there are that many; until then their order is of no use.
      if (this.#accounts.size > orderedFrom) {
        this.#accounts.delete(caller.sub)
        this.#accounts.set(caller.sub, known)
      }
      return known
    }
    if (this.#accounts.size >= accountsMax) {
      const [oldest] = this.#accounts.keys()
      if (oldest !== undefined) this.#accounts.delete(oldest)
    }
    const account = new Account(caller)
    this.#accounts.set(caller.sub, account)
    return account
  }

  /** Nothing that is known holds any more. */
  forgetStandings(): void {
    for (const account of this.#accounts.values()) account.revision = -1n
  }

  /**
   * What to say of the pools of these groups when they are asked about, `counted` cents later. Of
   * every pool that is known, whether or not the asking account is known to be in it: the database
   * takes silence for a pool of which nothing is held here.
   */
  poolsOf(groups: Iterable<readonly string[]>, counted: ReadonlyMap<string, number>): PoolAsk[] {
    return [...new Set([...groups].flat())].flatMap((id) => {
      const pool = this.#pools.get(id)
      return pool === undefined
        ? []
        : [{ id, want: pool.want, held: pool.outstanding(counted.get(id)) }]
    })
  }

  /** The accounts, and the known pools of their groups. */
  allowancesOf(asked: ReadonlyMap<Account, readonly string[]>): Allowance[] {
    const groups = new Set([...asked.values()].flat())
    return [...asked.keys(), ...[...groups].flatMap((id) => this.#pools.get(id) ?? [])]
  }

  /** These entries are in the database's figures from now on. */
  settle(entries: readonly Entry[]): void {
    for (const { sub, groups, day, cents } of entries) {
      this.#accounts.get(sub)?.settle(cents, day)
      for (const group of new Set(groups)) this.#pools.get(group)?.settle(cents, day)
    }
  }

  /** Takes the database's figures over; returns how many holds of each account are granted. */
  apply(asked: Asked, result: SyncResult, askedAt: Time, elapsed: number): Map<Account, number> {
    const granted = new Map<Account, number>()
    for (const [index, [account, groups]] of asked.entries()) {
      const state = result.accounts[index]
      if (state === undefined) continue
      const pools = state.pools.map((pool) => this.#updatePool(pool, result.poolLeases))
      account.groups = groups
      account.update(state, pools, result.revision, askedAt, elapsed)
      granted.set(account, state.granted)
    }
    return granted
  }

  #updatePool({ group, limit, spent }: PoolState, leases: ReadonlyMap<string, number>): Pool {
    const known = this.#pools.get(group)
    if (known === undefined && this.#pools.size >= poolsMax) this.#pools.clear()
    const pool = known ?? new Pool()
    this.#pools.set(group, pool)
    pool.limit = limit
    pool.spent = spent
    pool.synced(leases.get(group) ?? 0)
    return pool
  }
}
