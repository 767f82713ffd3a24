/**
 * Tables that only this gateway needs, in the order they were added. Append only: a version that
 * was released never changes. They are recorded in `gateway_migrations`, which exists only once
 * there is something to record, and never in the reference's `_migrations`.
 */
import { createSpendCount, createSpendSync, createSpendTables } from './spend-sync.ts'

export interface OwnMigration {
  readonly version: number
  /** One or more statements without parameters, for a database that has all earlier versions. */
  readonly sql: string
}

export const ownMigrations: readonly OwnMigration[] = [
  { version: 1, sql: [createSpendTables, createSpendCount, createSpendSync].join(';\n') },
]
