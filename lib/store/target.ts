/**
 * Where the database is, read from the `store` section: the URL taken apart, with `username` and
 * `password` over it. Called by the configuration check and by whoever connects. Texts made here
 * name host, port, database and sslmode, and never a credential.
 */
import type { StoreConfig } from './config.ts'

const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

export interface Target {
  /** A name, an address, or the folder of a unix socket. */
  readonly host: string
  readonly port: number
  /** Undefined: as PostgreSQL's own clients, the name of the role. */
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly sslmode: SslMode
  /** Every other query parameter: server settings of each session. */
  readonly parameters: Readonly<Record<string, string>>
}

export interface TargetProblem {
  /** Completes the sentence "expected …". */
  readonly expected: string
  readonly found?: string
  readonly nearest?: readonly string[]
}

type TargetKeys = Pick<StoreConfig, 'postgres_url' | 'username' | 'password'>

const portDefault = 5432

/** The target, or all that is wrong with the URL in texts without secrets. */
export function readTarget(
  config: TargetKeys,
): { readonly target: Target } | { readonly problems: readonly TargetProblem[] } {
  const text = config.postgres_url
  // Before URL parsing, which takes a comma for a part of the name and then fails on the port.
  const authority = /^[a-z]+:\/\/([^/?#]*)/.exec(text)?.[1] ?? ''
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',')) {
    return {
      problems: [{ expected: 'one host; put a proxy or a DNS name in front of several servers' }],
    }
  }
  const url = URL.parse(text)
  if (url === null || url.hash !== '') {
    const way = 'special characters percent-encoded, or in store.username and store.password'
    return {
      problems: [{ expected: `a URL postgres://user:password@host:port/database with ${way}` }],
    }
  }
  const problems: TargetProblem[] = []
  const sslmode = readSslMode(url.searchParams.get('sslmode'), problems)
  if (url.searchParams.has('sslrootcert')) {
    problems.push({
      expected: 'no sslrootcert; name the file in the environment variable NODE_EXTRA_CA_CERTS',
      found: 'sslrootcert',
    })
  }
  if (problems.length > 0) return { problems }
  const parameters = [...url.searchParams].filter(([name]) => name !== 'sslmode')
  return {
    target: {
      host: decode(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost',
      port: url.port === '' ? portDefault : Number(url.port),
      database: decode(url.pathname.slice(1)) || undefined,
      user: config.username ?? (decode(url.username) || undefined),
      password: config.password ?? (decode(url.password) || undefined),
      sslmode,
      parameters: Object.fromEntries(parameters),
    },
  }
}

/** For logs and last words: the place, without role and password. */
export function describeTarget(target: Target): string {
  const database = target.database === undefined ? 'of the role' : `"${target.database}"`
  return `host ${target.host}, port ${target.port}, database ${database}, sslmode ${target.sslmode}`
}

function readSslMode(given: string | null, problems: TargetProblem[]): SslMode {
  if (given === null) return 'prefer'
  const known = sslModes.find((mode) => mode === given)
  if (known === undefined) {
    problems.push({ expected: `sslmode ${sslModes.join(', ')}`, found: given, nearest: sslModes })
  }
  return known ?? 'prefer'
}

/** A stray percent sign is taken as it stands, as other PostgreSQL clients do. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
