/**
 * Real PostgreSQL for specs. `createDatabase` gives a fresh database on one shared server: the one
 * GATEWAY_TEST_POSTGRES_URL names (spec/main.ts starts it for a whole run), else an embedded one
 * for this file. Specs that break a server take their own with `startServer`.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { after } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres,
} from '../../bin/demo/postgres.ts'
import { copyCluster } from './cluster.ts'

/** A test's context, or the whole file when `createDatabase` is called outside of tests. */
export interface Scope {
  after(action: () => Promise<void>): void
}

export interface TestDatabase {
  readonly url: string
  readonly name: string
  /** Runs SQL beside the code under test, on a connection of its own. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  /** A session that stays open, for locks and transactions; ends with the database. */
  connect(): Promise<pg.Client>
  /** Happens by itself at the end of the scope. */
  drop(): Promise<void>
}

export interface TestServer extends PostgresServer {
  /** Stops all of its processes in their tracks: connections stay open and nothing answers. */
  hang(): void
  resume(): void
  /** The same data on the same port. */
  restart(): Promise<void>
}

/** A fresh, empty database, dropped at the end of the scope. */
export async function createDatabase(
  scope: Scope = { after },
  serverUrl?: string,
): Promise<TestDatabase> {
  const server = serverUrl ?? (await sharedServerUrl())
  const name = `spec_${randomBytes(8).toString('hex')}`
  // On the run's own server, which is no older than 15, in half the time.
  const made = process.env['GATEWAY_TEST_POSTGRES_CLUSTER']
  const isOurs = serverUrl === undefined && made !== undefined
  await onServer(server, `CREATE DATABASE ${name}${isOurs ? ' STRATEGY file_copy' : ''}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const drop = async (): Promise<void> => {
    // What the spec left running may come back as often as it is sent away. (Not WITH (FORCE),
    // which PostgreSQL 11 lacks.)
    await onServer(server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    await onServer(
      server,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
    )
    await onServer(server, `DROP DATABASE ${name}`)
  }
  // A leftover is no failure of the spec, and a hook that throws keeps later ones from running.
  const dropOrWarn = (): Promise<void> =>
    drop().catch((error: unknown) =>
      process.emitWarning(`${name} was not dropped: ${String(error)}`),
    )
  // A server of the spec's own takes its databases along.
  if (serverUrl === undefined) scope.after(dropOrWarn)
  return {
    url: url.href,
    name,
    query: (text, values) => onServer(url.href, text, values),
    async connect() {
      const client = new pg.Client({ connectionString: url.href })
      client.on('error', () => {}) // dropping the database ends it
      await client.connect()
      return client
    },
    drop: dropOrWarn,
  }
}

/** A server of the spec's own, gone at the end of the scope. In a whole run half a second's work. */
export async function startServer(
  scope: Scope,
  options: Omit<PostgresOptions, 'dataDir'> = {},
): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  // As root the server runs under another account, which must get in.
  await chmod(dataDir, 0o755)
  const made = process.env['GATEWAY_TEST_POSTGRES_CLUSTER']
  if (made !== undefined && options.major === undefined) await copyCluster(made, dataDir)
  let server = await startPostgres({ fsync: false, ...options, dataDir })
  const signalAll = (signal: NodeJS.Signals): void => {
    // Parents first, so that a stopped postmaster cannot replace what is stopped after it.
    for (const pid of [server.pid, ...childrenOf(server.pid)]) process.kill(pid, signal)
  }
  const resume = (): void => {
    try {
      signalAll('SIGCONT')
    } catch {
      // It is stopped for good.
    }
  }
  scope.after(async () => {
    resume()
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    url: server.url,
    port: server.port,
    get pid() {
      return server.pid
    },
    get exited() {
      return server.exited
    },
    stop: () => server.stop(),
    hang: () => signalAll('SIGSTOP'),
    resume,
    async restart() {
      await server.stop()
      server = await startPostgres({ fsync: false, ...options, dataDir, port: server.port })
    },
  }
}

let shared: Promise<string> | undefined

function sharedServerUrl(): Promise<string> {
  return (shared ??= (async () => {
    const given = process.env['GATEWAY_TEST_POSTGRES_URL']
    if (given !== undefined && given !== '') return given
    const dataDir = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
    const server = await startPostgres({ dataDir, fsync: false })
    // The file is done when nothing else is left to do; no test owns this server.
    process.once('beforeExit', () => {
      void server
        .stop()
        .then(() => rm(dataDir, { recursive: true, force: true }))
        .catch((error: unknown) => process.emitWarning(String(error)))
    })
    return server.url
  })())
}

async function onServer(
  url: string,
  text: string,
  values?: unknown[],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const result = await client.query<Record<string, unknown>>(text, values)
    return result.rows
  } finally {
    await client.end()
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // "pid (name) state ppid …", and the name may hold anything.
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')
        return Number(fields.split(' ')[1]) === parent
      } catch {
        return false // it ended meanwhile
      }
    })
}
