/**
 * The number that says which caps hold: it grows with every change made through the Admin API, so
 * that a replica knows from one small number whether what it remembers is still true. Notified
 * as a hint, polled as the truth.
 */
import { sendHint } from '../store/notify.ts'
import type { Queryable, Store } from '../store/store.ts'

/** Its detail is the new revision. */
export const capHintTopic = 'caps'

/** A single row; a database that takes longer is treated as one that is away. */
const timeoutMs = 1500

/**
 * Belongs into the transaction that changes `spend_limits`: bumps the revision and tells all
 * replicas once it is committed. Returns the new revision.
 */
export async function announceCapChange(tx: Queryable): Promise<bigint> {
  const { rows } = await tx.query<{ revision: string }>(
    'UPDATE gateway_spend_revision SET revision = revision + 1 RETURNING revision::text',
  )
  const revision = BigInt(rows[0]?.revision ?? 0)
  await sendHint(tx, capHintTopic, String(revision))
  return revision
}

/** The revision as it stands. Rejects with `store/unavailable`. */
export async function readRevision(store: Store): Promise<bigint> {
  const { rows } = await store.query<{ revision: string }>(
    'SELECT revision::text FROM gateway_spend_revision',
    [],
    { timeoutMs },
  )
  return BigInt(rows[0]?.revision ?? 0)
}
