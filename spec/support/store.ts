/** A store on a real database, closed at the end of the scope. */
import { systemClock } from '../../lib/kernel/clock.ts'
import { createConnector } from '../../lib/store/connection.ts'
import { createStore } from '../../lib/store/pool.ts'
import type { Store } from '../../lib/store/store.ts'
import { readTarget, type Target } from '../../lib/store/target.ts'
import type { Scope } from './database.ts'

export interface TestStoreOptions {
  readonly max?: number
  readonly connectTimeoutMs?: number
  readonly hasExtraCa?: boolean
}

/** A stand-in for a replica: every call makes a pool of its own. */
export function openStore(scope: Scope, url: string, options: TestStoreOptions = {}): Store {
  const { max = 5, connectTimeoutMs = 5000, hasExtraCa = false } = options
  const connector = createConnector({
    target: targetOf(url),
    connectTimeoutMs,
    hasExtraCa,
    clock: systemClock,
  })
  const store = createStore({ max, clock: systemClock, open: connector.open })
  scope.after(() => store.close())
  return store
}

export function targetOf(url: string): Target {
  const read = readTarget({ postgres_url: url })
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  return read.target
}

/** For statements that must not fail for want of time on a busy machine. */
export const plenty = { timeoutMs: 20_000 } as const
