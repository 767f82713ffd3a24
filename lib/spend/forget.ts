/**
 * Erases what says who a principal is: name, email and groups. What was spent stays under the
 * principal's id, because it is part of the company's books; retention removes it in its time.
 */
import type { Store } from '../store/store.ts'

export interface Forgotten {
  /** Rows removed, by table. */
  readonly removed: Readonly<Record<'principal_emails' | 'principal_groups', number>>
  /** Rows that still name the id, by table. */
  readonly kept: Readonly<Record<'spend' | 'spend_limits' | 'admin_audit', number>>
}

/** A person runs it and waits; both tables are read by the principal. */
const timeoutMs = 30_000

/** Rejects with `store/unavailable`; then nothing was removed. */
export function forget(principal: string, store: Store): Promise<Forgotten> {
  return store.transaction(
    async (tx) => {
      const count = async (sql: string): Promise<number> => (await tx.query(sql, [principal])).count
      return {
        removed: {
          principal_emails: await count('DELETE FROM principal_emails WHERE principal = $1'),
          principal_groups: await count('DELETE FROM principal_groups WHERE principal = $1'),
        },
        kept: {
          spend: await count('SELECT 1 FROM spend WHERE principal = $1'),
          spend_limits: await count(
            `SELECT 1 FROM spend_limits WHERE scope_type = 'user' AND scope_id = $1`,
          ),
          admin_audit: await count(
            `SELECT 1 FROM admin_audit
             WHERE coalesce(after, before) -> 'scope' ->> 'user_id' = $1
                OR actor = 'oidc:' || $1`,
          ),
        },
      }
    },
    { timeoutMs },
  )
}

/** What a person who erases is told. */
export function describeForgotten(principal: string, { removed, kept }: Forgotten): string {
  const rows = (count: number): string => `${count} ${count === 1 ? 'row' : 'rows'}`
  return [
    `principal ${principal}`,
    `  removed from principal_emails (email, name, groups): ${rows(removed.principal_emails)}`,
    `  removed from principal_groups (groups by day): ${rows(removed.principal_groups)}`,
    `  kept in spend (amounts under the id, until spend_retention_months): ${rows(kept.spend)}`,
    `  kept in spend_limits (limits of this person; DELETE them through the Admin API): ${rows(kept.spend_limits)}`,
    `  kept in admin_audit (changes of limits, until audit_retention_days): ${rows(kept.admin_audit)}`,
    'A session that is still valid writes the rows anew with its next call; revoke it first.',
    '',
  ].join('\n')
}
