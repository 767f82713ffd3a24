/**
 * A real PostgreSQL server on 127.0.0.1 from the programs npm installed: for the demo and for
 * specs. It stops with the process that started it, even when that one is killed, and never
 * listens on anything but the loopback address. Not for production data.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Account,
  type Binaries,
  canReach,
  chooseAccount,
  type PostgresMajor,
  prepareBinaries,
} from './postgres-binaries.ts'

export interface PostgresOptions {
  /** Holds the cluster and its password; made when missing, kept after `stop`. */
  readonly dataDir: string
  /** 0 or absent: a free one. */
  readonly port?: number
  readonly major?: PostgresMajor
  /** Progress for people; silent when absent. */
  readonly log?: (line: string) => void
  /** What the server itself writes. */
  readonly serverLog?: (line: string) => void
  /** False only where losing the data with the machine does not matter: specs. */
  readonly fsync?: boolean
  /** PEM texts; with them the server speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** More server settings, for example `default_transaction_read_only: 'on'`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer {
  /** Superuser on the database `postgres`, password included. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<void>
  /** Open transactions are rolled back, the data is written; safe to call twice. */
  readonly stop: () => Promise<void>
}

/** A cold first start on a busy two-core machine took 6 s; past this something is wrong. */
const startTimeoutMs = 60_000
/** A fast shutdown writes a checkpoint; the next, harsher signal follows after this. */
const stopPatienceMs = 10_000
/** How long the server of a killed predecessor may take to go away: it writes a checkpoint. */
const predecessorPatienceMs = 30_000
/** How long it may take to notice; the shell tells it at once. */
const orphanPatienceMs = 2000
const lockPollMs = 50
/** Somebody may take the free port between our look and the server's bind. */
const portAttempts = 5
/** Enough of the server's last words to explain a failed start. */
const tailLinesMax = 30

/**
 * Starts the server and resolves once it accepts connections. Errors are for people: they name
 * the folder and end with the server's last lines, or with what to run when a package is missing.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const major = options.major ?? 18
  const account = await chooseAccount()
  const binaries = await prepareBinaries(major, account)
  await mkdir(options.dataDir, { recursive: true })
  const folder = await realpath(options.dataDir)
  if (major === 11 && !(await canReach(folder, account))) {
    // It leaves its working folder to look for its own files, and cannot come back.
    throw new Error(`PostgreSQL 11 runs as another account, which cannot reach ${folder}.`)
  }
  const cluster = join(folder, `cluster-${major}`)
  const password = await ensureCluster({ folder, cluster, binaries, account, options })
  if (options.tls !== undefined) await writeTls(cluster, options.tls, account)

  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort())
    const outcome = await launch({ cluster, binaries, account, port, options })
    if (outcome.kind === 'ready') {
      const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
      return { url, port, ...outcome.server }
    }
    if (attempt >= portAttempts) throw outcome.error
    if (outcome.kind === 'port-taken' && !options.port) continue
    if (outcome.kind === 'locked') {
      await settleLock(cluster)
      continue
    }
    throw outcome.error
  }
}

interface Site {
  readonly cluster: string
  readonly binaries: Binaries
  readonly account: Account
  readonly options: PostgresOptions
}

/**
 * Makes the cluster when there is none and returns its superuser password. It is made under
 * another name first, so that a start that was interrupted leaves no half of one behind.
 */
async function ensureCluster(site: Site & { folder: string }): Promise<string> {
  const { folder, cluster, account, options } = site
  const passwordFile = join(folder, 'password')
  const known = await readFile(passwordFile, 'utf8').catch(() => '')
  const password = known.trim() || randomBytes(24).toString('hex')
  if (known.trim() === '') {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  } else if (await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => '')) {
    return password
  }
  options.log?.('creating the PostgreSQL data folder (only the first time, a few seconds)')
  await rm(cluster, { recursive: true, force: true })
  const draft = `${cluster}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  await own(draft, account)
  await initialise({ ...site, cluster: draft }, password)
  await rename(draft, cluster)
  return password
}

async function initialise(site: Site, password: string): Promise<void> {
  // Not inside the private folder: initdb runs as another account when we are root.
  const scratch = await mkdtemp(join(tmpdir(), 'apps-gateway-initdb-'))
  try {
    const passwordFile = join(scratch, 'password')
    await writeFile(passwordFile, password, { mode: 0o600 })
    await own(passwordFile, site.account)
    await own(scratch, site.account)
    const child = spawn(
      site.binaries.initdb,
      [
        `--pgdata=${await pathFor(site)}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // C needs no locale of the machine and sorts the same everywhere.
        '--locale=C',
        ...(site.options.fsync === false ? ['--no-sync'] : []),
      ],
      { ...spawnOptions(site), stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const tail = collectTail(child)
    const { code } = await exitOf(child)
    if (code !== 0) throw new Error(explain('initdb failed', site.cluster, tail))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

type Launched =
  | { kind: 'ready'; server: Pick<PostgresServer, 'pid' | 'exited' | 'stop'> }
  | { kind: 'port-taken' | 'locked' | 'failed'; error: Error }

/**
 * The shell becomes the server; what it leaves behind waits for the other end of descriptor 3 to
 * close, that is for our end, however sudden, and then stops the server. A word on the descriptor
 * sends it home instead.
 */
const superviseScript = `
(
  server=$$
  ( read -r word <&3 || { kill -INT $server; kill -CONT $server; } ) >/dev/null 2>&1 &
)
exec "$@" </dev/null 3<&-
`

async function launch(site: Site & { port: number }): Promise<Launched> {
  const { options, port } = site
  const settings: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: options.fsync === false ? 'off' : 'on',
    ...(options.fsync === false ? { full_page_writes: 'off', synchronous_commit: 'off' } : {}),
    ...(options.tls ? { ssl: 'on', ssl_cert_file: 'tls.crt', ssl_key_file: 'tls.key' } : {}),
    logging_collector: 'off',
    ...options.settings,
  }
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      superviseScript,
      'postgres',
      site.binaries.postgres,
      '-D',
      await pathFor(site),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    // Its own process group: Ctrl-C in a terminal must reach us first, and us alone.
    { ...spawnOptions(site), detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  )
  const tail = collectTail(child)
  const exit = exitOf(child)
  const ready = new Promise<'ready'>((resolve) => {
    forEachLine(child, (line) => {
      options.serverLog?.(line)
      if (line.includes('database system is ready to accept connections')) resolve('ready')
    })
  })
  const timeout = new AbortController()
  const first = await Promise.race([
    ready,
    exit.then(() => 'exit' as const),
    delay(startTimeoutMs, 'timeout' as const, { signal: timeout.signal }),
  ]).finally(() => timeout.abort())

  if (first !== 'ready') {
    if (first === 'timeout') child.kill('SIGKILL')
    await exit
    const text = tail.join('\n')
    return {
      kind: /could not bind .*in use/is.test(text)
        ? 'port-taken'
        : /lock file .* already exists|pre-existing shared memory block/is.test(text)
          ? 'locked'
          : 'failed',
      error: new Error(explain('PostgreSQL did not start', site.cluster, tail)),
    }
  }
  return { kind: 'ready', server: supervise(child, exit) }
}

function supervise(
  child: ChildProcess,
  exit: Promise<unknown>,
): Pick<PostgresServer, 'pid' | 'exited' | 'stop'> {
  // The caller's process may end while the server runs; what the shell left then stops it.
  const pipes = child.stdio.filter((stream) => stream instanceof Socket)
  child.unref()
  for (const pipe of pipes) pipe.unref()
  const exited = exit.then(() => {})
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    child.ref()
    for (const pipe of pipes) pipe.ref()
    // Fast shutdown, immediate shutdown, and then there is nothing left to ask for.
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
      if (child.exitCode !== null || child.signalCode !== null) break
      child.kill(signal)
      child.kill('SIGCONT')
      const patience = new AbortController()
      await Promise.race([
        exited,
        delay(stopPatienceMs, undefined, { signal: patience.signal }),
      ]).finally(() => patience.abort())
    }
    await exited
  }
  return { pid: child.pid ?? 0, exited, stop: () => (stopping ??= stop()) }
}

/**
 * The cluster is locked. When a server works in it, wait for it to go: it may belong to a starter
 * that was just killed. When none does, the file is left from a crash and its process number
 * belongs to somebody else now, which PostgreSQL cannot tell.
 */
async function settleLock(cluster: string): Promise<void> {
  const lockFile = join(cluster, 'postmaster.pid')
  let readyForMs = 0
  for (let waitedMs = 0; ; waitedMs += lockPollMs) {
    const lock = await readFile(lockFile, 'utf8').catch(() => '')
    const pid = Number.parseInt(lock, 10)
    if (Number.isNaN(pid)) return
    const workingFolder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    if (workingFolder !== cluster) {
      await rm(lockFile, { force: true })
      return
    }
    // The eighth line says what the server is about; one that stays ready is no orphan.
    readyForMs = /^ready/m.test(lock) ? readyForMs + lockPollMs : 0
    if (readyForMs > orphanPatienceMs || waitedMs > predecessorPatienceMs) {
      throw new Error(
        `Another PostgreSQL server (process ${pid}) works in ${cluster}. ` +
          'Stop what started it, or choose another data folder.',
      )
    }
    await delay(lockPollMs)
  }
}

/**
 * Where the account finds the cluster. Below a private home it cannot walk the path, but the
 * system has already put it there: the working folder is entered before the account changes.
 */
async function pathFor(site: Site): Promise<string> {
  return (await canReach(site.cluster, site.account)) ? site.cluster : '/proc/self/cwd'
}

function spawnOptions(site: Site): {
  cwd: string
  env: Record<string, string>
  uid?: number
  gid?: number
} {
  const { uid, gid } = site.account
  return {
    cwd: site.cluster,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  }
}

async function writeTls(
  cluster: string,
  tls: { certificate: string; key: string },
  account: Account,
): Promise<void> {
  for (const [name, text] of [
    ['tls.crt', tls.certificate],
    ['tls.key', tls.key],
  ] as const) {
    const path = join(cluster, name)
    await writeFile(path, text)
    await chmod(path, 0o600)
    await own(path, account)
  }
}

async function own(path: string, account: Account): Promise<void> {
  if (account.uid !== undefined && account.gid !== undefined) {
    await chown(path, account.uid, account.gid)
  }
}

function forEachLine(child: ChildProcess, action: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', action)
  }
}

function collectTail(child: ChildProcess): string[] {
  const tail: string[] = []
  forEachLine(child, (line) => {
    tail.push(line)
    if (tail.length > tailLinesMax) tail.shift()
  })
  return tail
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null }> {
  const failure = once(child, 'error').then(([error]: unknown[]) => {
    throw new Error('a PostgreSQL program could not be started', { cause: error })
  })
  // `close` comes after the last output line, but only when our end of descriptor 3 is shut too.
  child.once('exit', () => child.stdio[3]?.destroy())
  const close = once(child, 'close').then(([code]: unknown[]) => ({
    code: typeof code === 'number' ? code : null,
  }))
  return Promise.race([close, failure])
}

function explain(what: string, cluster: string, tail: readonly string[]): string {
  return `${what} in ${cluster}:\n${tail.map((line) => `  ${line}`).join('\n')}`
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
