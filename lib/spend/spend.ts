/**
 * Spend as one part for the composition root: the ledger of this replica, kept current about caps
 * by hints and a poll. Lives as long as the process; a gate is made of it for each configuration.
 */
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Audit, Log } from '../kernel/log.ts'
import type { Hints } from '../store/notify.ts'
import type { Store } from '../store/store.ts'
import type { AdminConfig } from './config.ts'
import { createSpendGate, type SpendGate } from './gate.ts'
import { createLedger, type LedgerStats } from './ledger.ts'
import { createRetention, type RetentionConfig } from './retention.ts'
import { capHintTopic, readRevision } from './revision.ts'

export interface Spend {
  gate(config: SpendSettings): SpendGate
  /** How limits of groups combine and how long what is kept, from now on. */
  use(admin: LastingConfig): void
  /** This replica changed caps; `revision` is what the change made of it. */
  capsChanged(revision: bigint): void
  /** Begins to follow the changes of other replicas. */
  start(): void
  /** Writes what waits; returns the cents that could not be written. */
  drain(windowMs: number): Promise<number>
  close(): void
  stats(): LedgerStats
}

/** What outlives a configuration. */
export type LastingConfig = RetentionConfig & Pick<AdminConfig, 'group_limit_mode'>

export interface SpendSettings {
  readonly admin: AdminConfig
  readonly fail_closed_on_error: boolean
  readonly reserve: boolean
}

export interface SpendDeps {
  readonly store: Store
  readonly hints: Hints
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** Hints make a change known within milliseconds; a lost one is made up for within this time. */
const pollMs = 1000

export function createSpend(deps: SpendDeps, admin: LastingConfig): Spend {
  const { store, hints, clock } = deps
  const ledger = createLedger(deps)
  ledger.setMode(admin.group_limit_mode)
  const retention = createRetention(deps, admin)
  let timer: Timer | undefined
  let polling = false
  const poll = async (): Promise<void> => {
    if (polling) return
    polling = true
    try {
      ledger.capsChanged(await readRevision(store))
    } catch {
      // The database is away: whoever needs it next says so.
    } finally {
      polling = false
    }
  }
  return {
    gate({ admin: { blocked_message }, fail_closed_on_error, reserve }) {
      return createSpendGate(
        { ...deps, ledger },
        { blocked_message, fail_closed_on_error, reserve },
      )
    },
    use(next) {
      ledger.setMode(next.group_limit_mode)
      retention.use(next)
    },
    capsChanged: (revision) => ledger.capsChanged(revision),
    start() {
      hints.on(capHintTopic, (detail) => {
        if (/^\d{1,18}$/.test(detail)) ledger.capsChanged(BigInt(detail))
      })
      // `poll` deals with its failures itself.
      hints.onGap(() => void poll())
      timer = clock.every(pollMs, () => void poll())
      // Both deal with their failures themselves.
      void retention.run()
      void ledger.warm()
    },
    drain: (windowMs) => ledger.drain(windowMs),
    close() {
      timer?.cancel()
      retention.stop()
      ledger.close()
    },
    stats: () => ledger.stats(),
  }
}
