/**
 * Brings the database to the schema this build needs, at boot and under the advisory lock that
 * the reference uses too, so that replicas and programs take turns. All of it is one
 * transaction: another replica sees either nothing or everything.
 *
 * Which step of the reference made which part is not known. So a database that is behind is not
 * led through versions one by one: whatever the final schema has and the database lacks is made.
 */
import type { Log } from '../kernel/log.ts'
import { capsByPeriodSignature, createCapsByPeriod } from './migrations/caps-by-period.ts'
import type { OwnMigration } from './migrations/own.ts'
import {
  sharedTables,
  sharedVersions,
  type Table,
  versionTable,
} from './migrations/shared-schema.ts'
import type { Queryable, Store } from './store.ts'

/** The reference's, one 64-bit number. */
const lockKey = 6_775_156
/** Another replica migrates in moments; one that holds the lock this long is stuck. */
const lockTimeoutMs = 60_000
/** An index over the spend of years is made in minutes. */
const statementTimeoutMs = 10 * 60_000
/** Lock and statement, and a margin for the small statements. */
const timeoutMs = lockTimeoutMs + statementTimeoutMs + 10_000

const ownVersionTable: Table = {
  name: 'gateway_migrations',
  columns: versionTable.columns,
  constraints: [['gateway_migrations_pkey', 'PRIMARY KEY (version)']],
  indexes: [],
}

/** Rejects with the store's failure when the role may not create what is missing. */
export async function migrate(deps: {
  readonly store: Store
  readonly log: Log
  readonly own?: readonly OwnMigration[]
  readonly lockWaitMs?: number
}): Promise<void> {
  const { store, log, own = [], lockWaitMs = lockTimeoutMs } = deps
  log.info(
    'waiting for migration lock (another replica may hold it; ' +
      `pg_locks shows who, key ${lockKey}, should this line stay the last)`,
  )
  const applied = await store.transaction(
    async (tx) => {
      await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [String(lockWaitMs)])
      await tx.query(`SELECT set_config('statement_timeout', $1, true)`, [
        String(statementTimeoutMs),
      ])
      await tx.query('SELECT pg_advisory_xact_lock($1)', [lockKey])
      return [...(await bringUpShared(tx)), ...(await bringUpOwn(tx, own))]
    },
    { timeoutMs },
  )
  for (const line of applied) log.info(line)
}

async function bringUpShared(tx: Queryable): Promise<string[]> {
  const recorded = await readVersions(tx, versionTable.name)
  const missing = sharedVersions.filter((version) => !recorded.has(version))
  if (missing.length === 0) return []
  for (const table of [versionTable, ...sharedTables]) await completeTable(tx, table)
  // An earlier version of the reference may have left one that computes something else.
  await tx.query(`DROP FUNCTION IF EXISTS ${capsByPeriodSignature}`)
  await tx.query(createCapsByPeriod)
  await recordVersions(tx, versionTable.name, missing)
  return missing.map((version) => `migration ${version} applied`)
}

async function bringUpOwn(tx: Queryable, own: readonly OwnMigration[]): Promise<string[]> {
  if (own.length === 0) return []
  const recorded = await readVersions(tx, ownVersionTable.name)
  const missing = own.filter(({ version }) => !recorded.has(version))
  if (missing.length === 0) return []
  await completeTable(tx, ownVersionTable)
  for (const { sql } of missing) await tx.query(sql)
  const versions = missing.map(({ version }) => version)
  await recordVersions(tx, ownVersionTable.name, versions)
  return versions.map((version) => `migration ${version} of this gateway's own tables applied`)
}

/** Versions of later builds may be among them; they are theirs to care for. */
async function readVersions(tx: Queryable, table: string): Promise<ReadonlySet<number>> {
  const { rows } = await tx.query<{ exists: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS exists',
    [table],
  )
  if (rows[0]?.exists !== true) return new Set()
  const versions = await tx.query<{ version: number }>(`SELECT version FROM ${table}`)
  return new Set(versions.rows.map(({ version }) => version))
}

async function recordVersions(
  tx: Queryable,
  table: string,
  versions: readonly number[],
): Promise<void> {
  await tx.query(
    `INSERT INTO ${table} (version) SELECT unnest($1::integer[]) ON CONFLICT DO NOTHING`,
    [versions],
  )
}

interface Found {
  readonly columns: readonly string[]
  readonly constraints: readonly string[]
  readonly indexes: readonly string[]
}

/**
 * Creates what the table lacks and touches nothing it has. Existence is asked for first:
 * IF NOT EXISTS would need the right to create even where there is nothing to do.
 */
async function completeTable(tx: Queryable, table: Table): Promise<void> {
  const { name, columns, constraints, indexes } = table
  const found = await describeTable(tx, name)
  if (found === undefined) {
    const parts = [
      ...columns.map(([column, definition]) => `${quote(column)} ${definition}`),
      ...constraints.map(([constraint, definition]) => `CONSTRAINT ${constraint} ${definition}`),
    ]
    await tx.query(`CREATE TABLE ${name} (${parts.join(', ')})`)
  }
  for (const [column, definition] of found === undefined ? [] : columns) {
    if (found?.columns.includes(column)) continue
    await tx.query(`ALTER TABLE ${name} ADD COLUMN ${quote(column)} ${definition}`)
  }
  for (const [constraint, definition] of found === undefined ? [] : constraints) {
    if (found?.constraints.includes(constraint)) continue
    await tx.query(`ALTER TABLE ${name} ADD CONSTRAINT ${constraint} ${definition}`)
  }
  for (const { name: index, unique, on } of indexes) {
    if (found?.indexes.includes(index)) continue
    await tx.query(`CREATE ${unique === true ? 'UNIQUE ' : ''}INDEX ${index} ON ${name} ${on}`)
  }
}

async function describeTable(tx: Queryable, name: string): Promise<Found | undefined> {
  const { rows } = await tx.query<Found>(
    `SELECT
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       ARRAY(SELECT conname::text FROM pg_constraint WHERE conrelid = t.oid) AS constraints,
       ARRAY(SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE i.indrelid = t.oid) AS indexes
     FROM (SELECT to_regclass($1)::oid AS oid) AS t WHERE t.oid IS NOT NULL`,
    [name],
  )
  return rows[0]
}

/** `before`, `groups`, `at` and others are words of SQL. */
function quote(column: string): string {
  return `"${column}"`
}
