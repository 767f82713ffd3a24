/**
 * What boot refuses or warns of because of where it runs. Asked by
 * the composition root, in its order; each refusal is one line for the operator.
 */
import type { Config } from './config.ts'
import type { Log } from './kernel/log.ts'
import type { Store } from './store/store.ts'
import { hasRecordedSpend } from './upstream/load-test.ts'

/** Canned replies are metered like real ones and must not be mixed with what people spent. */
export async function refuseMixedLoadTest(config: Config, store: Store): Promise<void> {
  if (config.load_test_mode?.enabled !== true || !(await hasRecordedSpend(store))) return
  throw new Error('load_test_mode is on, but the database holds recorded spend: use one of its own')
}

/** A cloud machine's metadata service hands credentials to whoever can reach it. */
export async function warnOfMetadata(log: Log, isReachable: () => Promise<boolean>): Promise<void> {
  if (!(await isReachable())) return
  log.warn(
    'the metadata service of this machine (169.254.169.254) is reachable from the gateway; the address guard refuses it, but a network rule should too',
  )
}
