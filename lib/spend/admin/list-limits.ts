/**
 * Reads caps and the audit of their changes, in pages. Pages go by the time of creation, which a
 * replacement keeps: a list that is read while caps change shows each lasting one exactly once.
 */
import { fail } from '../../kernel/errors.ts'
import type { Queryable, Store } from '../../store/store.ts'
import { adminStoreTimeoutMs } from './change-limits.ts'
import { type Query, refuse } from './query.ts'
import { limitColumns, limitObject, type LimitRow } from './spend-limit.ts'

/** As on the reference. */
const limitsDefault = 20
const auditDefault = 100

export async function listLimits(store: Store, query: Query, month: string): Promise<object> {
  const limit = query.limit(limitsDefault)
  const scopeType = query.word(
    'scope_type',
    ['organization', 'rbac_group', 'user'],
    'must be one of organization, rbac_group, user',
  )
  const after = query.first('after_id')
  const before = query.first('before_id')
  if (after !== undefined && before !== undefined) {
    refuse('after_id and before_id are mutually exclusive')
  }
  const rows = await store.transaction(
    async (tx) => {
      const anchor = await findAnchor(tx, after, before)
      const found = await tx.query<LimitRow>(
        `SELECT ${limitColumns('$1')} FROM spend_limits
         WHERE ($2::text IS NULL OR scope_type = $2)
           AND ($3::timestamptz IS NULL
                OR (created_at, id) ${before === undefined ? '>' : '<'} ($3::timestamptz, $4::text))
         ORDER BY created_at ${direction(before)}, id ${direction(before)} LIMIT $5`,
        [month, scopeType ?? null, anchor?.at ?? null, anchor?.id ?? null, limit + 1],
      )
      return found.rows
    },
    { timeoutMs: adminStoreTimeoutMs },
  )
  const page = rows.slice(0, limit)
  if (before !== undefined) page.reverse()
  return {
    data: page.map(limitObject),
    has_more: rows.length > limit,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  }
}

function direction(before: string | undefined): 'ASC' | 'DESC' {
  return before === undefined ? 'ASC' : 'DESC'
}

/** As text, which keeps the microseconds that a JavaScript date has not. */
async function findAnchor(
  tx: Queryable,
  after: string | undefined,
  before: string | undefined,
): Promise<{ readonly id: string; readonly at: string } | undefined> {
  const id = after ?? before
  if (id === undefined) return undefined
  const { rows } = await tx.query<{ id: string; at: string }>(
    'SELECT id, created_at::text AS at FROM spend_limits WHERE id = $1',
    [id],
  )
  const name = after === undefined ? 'before_id' : 'after_id'
  return rows[0] ?? refuse(`${name}: no spend limit with this id`)
}

/** Throws `admin/limit-not-found`. */
export async function getLimit(store: Store, id: string, month: string): Promise<object> {
  const { rows } = await store.query<LimitRow>(
    `SELECT ${limitColumns('$1')} FROM spend_limits WHERE id = $2`,
    [month, id],
    { timeoutMs: adminStoreTimeoutMs },
  )
  return limitObject(rows[0] ?? fail('admin/limit-not-found'))
}

interface AuditRow {
  readonly id: string
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly before: string | null
  readonly after: string | null
  readonly reason: string | null
}

/** Newest first; `after_id` goes on to what is older. */
export async function listAudit(store: Store, query: Query): Promise<object> {
  const limit = query.limit(auditDefault)
  const after = query.first('after_id')
  if (after !== undefined && !/^\d{1,18}$/.test(after)) {
    refuse('after_id: must be an audit event id')
  }
  // jsonb keeps no order of keys; that of a snapshot is known, so it is put back below.
  const { rows } = await store.query<AuditRow>(
    `SELECT event.id::text, at, actor, action, target, before::text, after::text, reason
     FROM admin_audit AS event WHERE $1::bigint IS NULL OR event.id < $1::bigint
     ORDER BY event.id DESC LIMIT $2`,
    [after ?? null, limit + 1],
    { timeoutMs: adminStoreTimeoutMs },
  )
  const data = rows.slice(0, limit).map((row) => ({
    type: 'audit_event',
    id: row.id,
    created_at: row.at,
    actor: row.actor,
    action: row.action,
    target_id: row.target,
    before: inOrder(row.before),
    after: inOrder(row.after),
    reason: row.reason,
  }))
  return { data, has_more: rows.length > limit }
}

const snapshotKeys =
  'id scope amount period currency created_at updated_at pooled_budget type user_id rbac_group_id paused'.split(
    ' ',
  )

/** Keys in the order the reference has them; ones it does not have come last. */
function inOrder(snapshot: string | null): unknown {
  return snapshot === null
    ? null
    : JSON.parse(snapshot, (_, value: unknown) => {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
        const place = (key: string): number =>
          snapshotKeys.includes(key) ? snapshotKeys.indexOf(key) : snapshotKeys.length
        return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => place(a) - place(b)))
      })
}
