/** `GET …/spend_limits/audit`: who changed which limit, newest first. */
import type { Store } from '../../store/store.ts'
import { invalid } from './answer.ts'
import { timeoutMs } from './limits.ts'
import { readLimit } from './query.ts'

interface Row {
  readonly id: string
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly before: unknown
  readonly after: unknown
  readonly reason: string | null
}

/** The largest id a bigint column can hold; nothing comes after it. */
const idMax = 9_223_372_036_854_775_807n

export async function readAuditLog(query: URLSearchParams, store: Store): Promise<unknown> {
  const limit = readLimit(query, 100)
  const given = query.get('after_id')
  if (given !== null && !/^\d+$/.test(given)) invalid('after_id: must be an audit event id')
  const after = given === null || BigInt(given) > idMax ? idMax : BigInt(given)
  const { rows } = await store.query<Row>(
    `SELECT a.id::text, a.at, a.actor, a.action, a.target, a.before, a.after, a.reason
     FROM admin_audit AS a WHERE a.id < $1 ORDER BY a.id DESC LIMIT $2`,
    [String(after), limit + 1],
    { timeoutMs },
  )
  return {
    data: rows
      .slice(0, limit)
      .map(({ id, at, actor, action, target, before, after: now, reason }) => ({
        type: 'audit_event',
        id,
        created_at: at,
        actor,
        action,
        target_id: target,
        before,
        after: now,
        reason,
      })),
    has_more: rows.length > limit,
  }
}
