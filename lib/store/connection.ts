/**
 * One connection to Postgres, opened with the TLS rules of `sslmode` and with limits on the
 * server's side. The pool opens its connections here; nothing else in the store knows of TLS.
 */
import { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { Clock } from '../kernel/clock.ts'
import { createDeadline } from './deadline.ts'
import type { Target } from './target.ts'

export interface Connection {
  readonly client: pg.Client
  /** False once the driver has seen it end or fail. */
  readonly usable: () => boolean
  /** Ends it at once without a word to the server, which may be the one that hangs. */
  readonly destroy: () => void
}

export interface ConnectionOptionsOfPool {
  readonly target: Target
  readonly connectTimeoutMs: number
  /** Whether NODE_EXTRA_CA_CERTS names a file: `require` then verifies the chain. */
  readonly hasExtraCa: boolean
  readonly clock: Clock
}

/**
 * The server ends what runs longer, should this process not be there any more to cancel it.
 * Above every deadline of a request; migrations set their own.
 */
const statementTimeoutMs = 30_000
/** A replica that freezes inside a transaction may not hold its locks against the others. */
const idleInTransactionTimeoutMs = 30_000
/** Middle boxes forget silent connections after minutes. */
const keepAliveDelayMs = 30_000

/** Name in pg_stat_activity; a parameter of the URL replaces it. */
const applicationName = 'apps-gateway'

/** Remembers for `prefer` what the server offered last, so that each connection tries it first. */
export function createConnector(options: ConnectionOptionsOfPool): {
  /** Resolves with a ready session, rejects with the driver's error; bounded by the options. */
  readonly open: () => Promise<Connection>
  /** The driver's settings as they stand, for a listener that makes its own connection. */
  readonly settings: () => pg.ClientConfig
} {
  const { target, hasExtraCa } = options
  const secure = sslFor(target, hasExtraCa)
  let ssl = secure
  const settings = (): pg.ClientConfig => ({ ...clientConfig(target), ssl })
  return {
    settings,
    async open() {
      // Not read again after the wait: others may open at the same time and learn it first.
      const tried = ssl
      try {
        return await openOnce({ ...clientConfig(target), ssl: tried }, options)
      } catch (error) {
        if (target.sslmode !== 'prefer' || !isAboutTls(error)) throw error
        const other = tried === false ? secure : false
        const connection = await openOnce({ ...clientConfig(target), ssl: other }, options)
        ssl = other
        return connection
      }
    },
  }
}

async function openOnce(
  config: pg.ClientConfig,
  options: ConnectionOptionsOfPool,
): Promise<Connection> {
  // Ours, because only the socket itself ends a connection whose other side does not answer.
  const socket = new Socket()
  const client = new pg.Client({ ...config, stream: () => socket })
  let ended = false
  const onEnd = (): void => void (ended = true)
  // Without a listener an error on an idle connection would end the process.
  client.on('error', onEnd)
  client.on('end', onEnd)
  const destroy = (): void => {
    ended = true
    socket.destroy()
  }
  const deadline = createDeadline(
    options.clock,
    options.connectTimeoutMs,
    `connecting to Postgres at ${options.target.host}:${options.target.port}`,
  )
  try {
    await deadline.bound(client.connect())
    await deadline.bound(prepareSession(client, options.target))
  } catch (error) {
    destroy()
    throw error
  } finally {
    deadline.cancel()
  }
  return { client, usable: () => !ended, destroy }
}

function clientConfig(target: Target): pg.ClientConfig {
  const { options, application_name: application } = target.parameters
  return {
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    password: target.password,
    application_name: application ?? applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    ...(options === undefined ? {} : { options }),
  }
}

/** In the startup message the driver sends these anyway. */
const startupParameters = new Set(['options', 'application_name'])

/**
 * After the start, not in the startup message: connection poolers refuse unknown parameters
 * there, and a deployment behind one must go on working.
 */
async function prepareSession(client: pg.Client, target: Target): Promise<void> {
  const wanted = Object.entries({
    statement_timeout: String(statementTimeoutMs),
    idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
    ...target.parameters,
  }).filter(([name]) => !startupParameters.has(name))
  const calls = wanted.map((_, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, false)`)
  await client.query(`SELECT ${calls.join(', ')}`, wanted.flat())
}

function sslFor(target: Target, hasExtraCa: boolean): false | ConnectionOptions {
  switch (target.sslmode) {
    case 'disable':
      return false
    case 'prefer':
      return { rejectUnauthorized: false }
    case 'require':
      // As libpq: with a CA at hand the chain is verified, without one nothing can be.
      return hasExtraCa ? { checkServerIdentity: () => undefined } : { rejectUnauthorized: false }
    case 'verify-ca':
      return { checkServerIdentity: () => undefined }
    case 'verify-full':
      return { rejectUnauthorized: true }
  }
}

/**
 * With `prefer` a failed handshake, a server without TLS and a server that wants none or only TLS
 * (class 28, "no pg_hba.conf entry … no encryption") are reasons to try the other way once.
 */
function isAboutTls(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof pg.DatabaseError)
    return /(no|SSL) encryption|SSL (on|off)/i.test(error.message)
  const code = 'code' in error ? String(error.code) : ''
  return /SSL|TLS/.test(error.message) || /^ERR_(SSL|TLS)|EPROTO/.test(code)
}
