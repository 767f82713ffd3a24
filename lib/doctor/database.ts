/**
 * The database as the gateway will use it: reached, encrypted, writable, new enough, with the
 * rights and the room it needs. It only reads; nothing is created or migrated here.
 */
import { GatewayError, messageOf } from '../kernel/errors.ts'
import { openDatabase } from '../store/database.ts'
import { sqlState } from '../store/failure.ts'
import { type OwnMigration, ownMigrations } from '../store/migrations/own.ts'
import { sharedTables, sharedVersions, versionTable } from '../store/migrations/shared-schema.ts'
import type { Store } from '../store/store.ts'
import { describeTarget, readTarget, type Target } from '../store/target.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { createMemoryLog, type DoctorParts } from './parts.ts'
import { judgeSkew } from './skew.ts'

/** Small reads of the catalogue; a server that needs longer is in trouble. */
const statementMs = 5_000
/** Oldest server the statements are written for and tried on, as `server_version_num`. */
const oldestVersion = 110_000
/** Rows of the database and of the gateway are compared in seconds: device grants live minutes. */
const skew = { warnMs: 5_000, failMs: 60_000, key: 'the gateway' }

interface Facts {
  readonly version: number
  readonly now: number
  readonly encrypted: boolean | null
  readonly schema: string | null
  readonly role: string
  readonly may_create: boolean | null
  readonly read_only: string
  readonly recovery: boolean
  readonly slots: number
  readonly used: number
  readonly role_limit: number
}

export async function checkDatabase(parts: DoctorParts): Promise<readonly Finding[]> {
  const { config, settings, clock } = parts
  const read = readTarget(config.store)
  if ('problems' in read) return [] // the configuration has said so
  const { log } = createMemoryLog()
  const database = openDatabase(config.store, { clock, log, hasExtraCa: settings.hasExtraCa })
  const { store } = database
  // `prefer` may need a second connection.
  const timeoutMs = 2 * config.store.connect_timeout_seconds * 1000 + statementMs
  try {
    const { rows } = await store.query<Facts>(factsQuery, [], { timeoutMs })
    const [facts] = rows
    if (facts === undefined) throw new Error('the server answered without a row')
    return [
      judgeVersion(facts, read.target),
      judgeEncryption(facts, read.target, settings.hasExtraCa),
      // As the composition root: without `admin` nothing is counted, and nothing of our own is needed.
      await judgeRights(facts, store, config.admin === undefined ? [] : ownMigrations),
      judgeWritable(facts),
      judgeRoom(facts, config.store.max_connections),
      judgeSkew('clock beside Postgres', facts.now, clock.now(), skew),
    ]
  } catch (error) {
    return [describeUnreachable(error, read.target)]
  } finally {
    await database.close()
  }
}

/** PostgreSQL 9.6 understands it, so that an old server can be told from a broken one. */
const factsQuery = `
  SELECT current_setting('server_version_num')::int AS version,
         (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now,
         (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted,
         current_schema() AS schema,
         current_user AS role,
         has_schema_privilege(current_user, current_schema(), 'CREATE') AS may_create,
         current_setting('transaction_read_only') AS read_only,
         pg_is_in_recovery() AS recovery,
         current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int AS slots,
         (SELECT count(*)::int FROM pg_stat_activity WHERE datid IS NOT NULL) AS used,
         (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit`

function judgeVersion({ version }: Facts, target: Target): Finding {
  const found = `PostgreSQL ${Math.floor(version / 10_000)}, ${describeTarget(target)}`
  if (version >= oldestVersion) return ok('Postgres', found)
  return failed('Postgres', found, 'move the database to PostgreSQL 11 or newer')
}

function judgeEncryption(
  { encrypted }: Facts,
  { host, sslmode }: Target,
  hasExtraCa: boolean,
): Finding {
  const check = 'Postgres TLS'
  const isNear =
    host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.')
  const verifies =
    sslmode === 'verify-full' || sslmode === 'verify-ca' || (sslmode === 'require' && hasExtraCa)
  const seen = `sslmode ${sslmode}: ${encrypted === true ? 'encrypted' : 'in clear'}`
  if (isNear || (encrypted === true && verifies)) return ok(check, seen)
  const fix =
    'put sslmode=verify-full into store.postgres_url, and the authority of the server into the file of NODE_EXTRA_CA_CERTS when it is a private one'
  if (encrypted === true) return warned(check, `${seen}, but nobody checks by whom`, fix)
  return warned(check, `${seen}, sign-in codes and spend included`, fix)
}

interface TableRights {
  readonly name: string
  readonly exists: boolean
  readonly missing: readonly string[]
}

async function judgeRights(
  { schema, role, may_create }: Facts,
  store: Store,
  wanted: readonly OwnMigration[],
): Promise<Finding> {
  const check = 'Postgres rights'
  if (schema === null) {
    return failed(
      check,
      `${role} has no schema to work in`,
      `CREATE SCHEMA gateway AUTHORIZATION ${identifier(role)}; ALTER ROLE ${identifier(role)} SET search_path = gateway;`,
    )
  }
  const own = wanted.length === 0 ? [] : await ownTables(store)
  const names = [versionTable.name, ...sharedTables.map(({ name }) => name), ...own]
  const { rows } = await store.query<TableRights>(rightsQuery, [names], { timeoutMs: statementMs })
  const absent = rows.filter(({ exists }) => !exists).map(({ name }) => name)
  const denied = rows.filter(({ missing }) => missing.length > 0)
  if (denied.length > 0) {
    const tables = denied.map(({ name }) => identifier(name)).join(', ')
    return failed(
      check,
      `${role} lacks ${[...new Set(denied.flatMap(({ missing }) => missing))].join(', ')} on ${tables}`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables} TO ${identifier(role)};`,
    )
  }
  if (absent.length === 0 && (await isCurrent(store, wanted)))
    return ok(check, `${role} may use all tables in schema ${schema}, which are current`)
  if (may_create === true) {
    const rest = absent.length === names.length ? 'none is there yet' : 'some are to be completed'
    return ok(check, `${role} may create tables in schema ${schema}; ${rest}`)
  }
  return failed(
    check,
    `${role} may not create tables in schema ${schema}, and they are not complete`,
    `GRANT CREATE, USAGE ON SCHEMA ${identifier(schema)} TO ${identifier(role)}; (from PostgreSQL 15 on nobody has it in public)`,
  )
}

const rightsQuery = `
  SELECT name, to_regclass(quote_ident(name)) IS NOT NULL AS exists,
         ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
               WHERE has_table_privilege(current_user, to_regclass(quote_ident(name))::oid, privilege) = false
         ) AS missing
    FROM unnest($1::text[]) AS name`

/** Where the versions of tables of our own are recorded, once there are any. */
const ownVersions = 'gateway_migrations'

/** Those that are there already; all of them have the prefix. */
async function ownTables(store: Store): Promise<readonly string[]> {
  const text = `SELECT tablename AS name FROM pg_tables
                 WHERE schemaname = current_schema() AND tablename LIKE 'gateway\\_%'`
  const { rows } = await store.query<{ name: string }>(text, [], { timeoutMs: statementMs })
  return [...new Set([ownVersions, ...rows.map(({ name }) => name)])]
}

async function isCurrent(store: Store, wanted: readonly OwnMigration[]): Promise<boolean> {
  const read = async (table: string): Promise<ReadonlySet<number>> => {
    const text = `SELECT version::int AS version FROM ${table}`
    const { rows } = await store.query<{ version: number }>(text, [], { timeoutMs: statementMs })
    return new Set(rows.map(({ version }) => version))
  }
  const shared = await read(versionTable.name)
  if (!sharedVersions.every((version) => shared.has(version))) return false
  if (wanted.length === 0) return true
  const own = await read(ownVersions)
  return wanted.every(({ version }) => own.has(version))
}

function judgeWritable({ read_only, recovery }: Facts): Finding {
  const check = 'Postgres writable'
  if (recovery) {
    return failed(
      check,
      'the server is a standby',
      'let store.postgres_url name the primary, or a name that follows a failover',
    )
  }
  if (read_only === 'on') {
    return failed(
      check,
      'transactions are read-only',
      'take default_transaction_read_only off the role, the database and the URL',
    )
  }
  return ok(check, 'yes')
}

function judgeRoom({ slots, used, role, role_limit }: Facts, wanted: number): Finding {
  const check = 'Postgres connections'
  const seen = `${used} of ${slots} in use; each replica takes up to ${wanted}`
  if (role_limit >= 0 && role_limit < wanted) {
    return warned(
      check,
      `role ${role} may have ${role_limit} connections; each replica takes up to ${wanted}`,
      `ALTER ROLE ${identifier(role)} CONNECTION LIMIT ${wanted * 4}; or lower store.max_connections`,
    )
  }
  if (slots - used >= wanted) return ok(check, seen)
  return warned(
    check,
    seen,
    'raise max_connections of the server, put a pooler in front, or lower store.max_connections',
  )
}

function describeUnreachable(error: unknown, target: Target): Finding {
  const reason = error instanceof GatewayError ? (error.detail ?? error.message) : messageOf(error)
  return failed(
    'Postgres',
    `${reason} (${describeTarget(target)})`,
    fixFor(sqlState(error), reason),
  )
}

function fixFor(state: string | undefined, reason: string): string {
  switch (state ?? '') {
    case '28P01':
      return 'correct the password: store.password, or the one in store.postgres_url'
    case '28000':
      return 'create the role, and let pg_hba.conf of the server admit it from this address'
    case '3D000':
      return 'CREATE DATABASE, or correct the database at the end of store.postgres_url'
    case '42501':
      return 'GRANT CONNECT on the database and USAGE on the schema to the role'
    case '53300':
      return 'the server has no connection left: raise its max_connections, or put a pooler in front'
    default:
  }
  if (/certificate|self.signed|SSL|TLS/i.test(reason)) {
    return 'put the authority of the server into the file of NODE_EXTRA_CA_CERTS, and use the host name of its certificate'
  }
  return 'correct host and port in store.postgres_url, open the firewall from here to there, and see that the server listens'
}

/** As SQL takes it, so that a fix can be pasted. */
function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
