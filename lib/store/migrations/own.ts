/**
 * What only this gateway needs, in the order it was added: tables, functions, and triggers that
 * keep one of the tables. Append only: a version that was released never changes. Versions are
 * recorded in `gateway_migrations`, which exists only once there is something to record, and never
 * in the reference's `_migrations`.
 */
import { createPersonSearch } from './person-search.ts'
import { createSpendCount, createSpendSync, createSpendTables } from './spend-sync.ts'

export interface OwnMigration {
  readonly version: number
  /** One or more statements without parameters, for a database that has all earlier versions. */
  readonly sql: string
}

export const ownMigrations: readonly OwnMigration[] = [
  { version: 1, sql: [createSpendTables, createSpendCount, createSpendSync].join(';\n') },
  { version: 2, sql: createPersonSearch },
]
