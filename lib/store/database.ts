/**
 * The store as one part for the composition root: made from its section of the configuration,
 * started in the order of boot, closed at the end. Holds no logic of its own.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { StoreConfig } from './config.ts'
import { connectAtBoot } from './connect.ts'
import { createConnector } from './connection.ts'
import { createKv } from './kv.ts'
import { migrate } from './migrate.ts'
import { ownMigrations } from './migrations/own.ts'
import { createHints, type Hints } from './notify.ts'
import { createStore } from './pool.ts'
import { createRateLimit } from './rate-limit.ts'
import { createReadiness, type StoreReadiness } from './readiness.ts'
import type { Kv, RateLimit, Store } from './store.ts'
import { startSweep, type Sweep } from './sweep.ts'
import { readTarget } from './target.ts'

export interface Database {
  readonly store: Store
  readonly kv: Kv
  readonly rateLimit: RateLimit
  readonly hints: Hints
  readonly readiness: StoreReadiness
  /** Connects, migrates and begins the background work; rejects with the operator's last line. */
  start(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface DatabaseDeps {
  readonly clock: Clock
  readonly log: Log
  /** Whether NODE_EXTRA_CA_CERTS is set: `sslmode=require` then verifies the chain. */
  readonly hasExtraCa?: boolean
  /** Whether spend is counted; only then this gateway needs tables of its own. */
  readonly countsSpend?: boolean
}

/** Opens no connection yet. Throws on a URL that the configuration check refuses. */
export function openDatabase(config: StoreConfig, deps: DatabaseDeps): Database {
  const { clock, log, hasExtraCa = false, countsSpend = false } = deps
  const read = readTarget(config)
  if ('problems' in read) {
    throw new Error(
      `store.postgres_url: expected ${read.problems.map(({ expected }) => expected).join('; ')}`,
    )
  }
  const { target } = read
  const connectTimeoutMs = config.connect_timeout_seconds * 1000
  const connector = createConnector({ target, connectTimeoutMs, hasExtraCa, clock })
  // Listening takes one of the connections; a single one is worth more to the queries, and hints
  // are only ever faster than polls.
  const listens = config.max_connections > 1
  const max = listens ? config.max_connections - 1 : 1
  const store = createStore({ max, clock, open: connector.open })
  const hints = createHints({ settings: connector.settings, connectTimeoutMs, clock, log })
  let sweep: Sweep | undefined
  return {
    store,
    kv: createKv(store),
    rateLimit: createRateLimit(store),
    hints: listens ? hints : { ...hints, start: () => {} },
    readiness: createReadiness(store, { graceSeconds: config.readiness_grace_seconds, clock }),
    async start(signal) {
      await connectAtBoot({ store, target, connectTimeoutMs, clock, log, signal })
      await migrate({ store, log, own: countsSpend ? ownMigrations : [] })
      sweep = startSweep({ store, clock, log })
    },
    async close() {
      sweep?.stop()
      hints.close()
      await store.close()
    },
  }
}
