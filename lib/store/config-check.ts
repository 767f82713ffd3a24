/**
 * What the form of `store.postgres_url` cannot say: whether a target can be read out of it.
 * Called by the configuration loader; the texts come without any credential.
 */
import type { ConfigReport } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import type { Loose } from '../schema/loose.ts'
import type { StoreConfig } from './config.ts'
import { readTarget } from './target.ts'

export function checkStore(store: Loose<StoreConfig> | undefined, report: ConfigReport): void {
  if (store?.postgres_url === undefined) return
  const { postgres_url, username, password } = store
  const read = readTarget({ postgres_url, username, password })
  if ('target' in read) return
  for (const { expected, found, nearest: known } of read.problems) {
    report.error(['store', 'postgres_url'], {
      expected,
      nearest: nearest(found ?? '', known ?? []),
    })
  }
}
