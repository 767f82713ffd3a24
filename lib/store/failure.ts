/**
 * What a failed store call says of its reason, for the few callers to whom it matters. The
 * driver's error classes stay inside this folder.
 */
import pg from 'pg'

/** The five letters of Postgres (its appendix A) behind an error of the store, if it sent any. */
export function sqlState(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof pg.DatabaseError) return at.code
  }
  return undefined
}

/** 25006: a replica that was not promoted, or a server set to read-only. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === '25006'
}
