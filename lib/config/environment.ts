/**
 * The environment variables that steer the gateway itself, as typed values. Called by bin before
 * anything else. A value that makes no sense is never fatal, as on the reference, but said.
 */
import {
  findBoundaryBlockers,
  isEgressBoundary,
  type Proxies,
  readProxies,
} from '../egress/proxy-environment.ts'
import { type LogLevel, logLevels } from '../kernel/log.ts'
import type { Environment } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'

export interface EnvironmentSettings {
  readonly logLevel: LogLevel
  /** How long open requests may run on after SIGTERM. */
  readonly drainTimeoutMs: number
  /** Loopback addresses are allowed for issuer, upstreams, collectors and webhook. */
  readonly allowLoopback: boolean
  /** Forward proxies; null: everything is reached directly. */
  readonly proxies: Proxies | null
  /** Hostnames go to the forward proxy unresolved; only where nothing stands against it. */
  readonly proxyIsEgressBoundary: boolean
  /** `BUN_CONFIG_MAX_HTTP_REQUESTS`; undefined leaves the built-in bound. */
  readonly openRequestsMax: number | undefined
  /** `NODE_EXTRA_CA_CERTS` is set; Node itself reads it. */
  readonly hasExtraCa: boolean
  /** `AWS_ENDPOINT_URL_STS`: where roles are assumed instead of AWS's own address. */
  readonly stsUrl: string | undefined
}

/** For the documentation: every variable that steers the gateway, in its order. */
export const environmentVariables: readonly (readonly [name: string, effect: string])[] = [
  [
    'CLAUDE_GATEWAY_ALLOW_LOOPBACK',
    '`1` or `true` allows loopback addresses for issuer, upstreams, collectors and webhook. For trying things out only.',
  ],
  [
    'CLAUDE_GATEWAY_LOG_LEVEL',
    '`debug`, `info` (default), `warn` or `error`. Audit lines are written at every level.',
  ],
  [
    'CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS',
    'How long open requests may run on after SIGTERM, in milliseconds. Default 25000.',
  ],
  [
    'CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY',
    '`1` or `true` sends host names to the forward proxy unresolved, so that it alone decides what may be reached. Has no effect, with a warning, without a proxy, with a `NO_PROXY`, or while loopback is allowed.',
  ],
  [
    'BUN_CONFIG_MAX_HTTP_REQUESTS',
    'Requests open at once in one process, 1 to 65535. The name is the one existing deployments set.',
  ],
  [
    'HTTPS_PROXY, HTTP_PROXY, NO_PROXY',
    'Forward proxy (`http://` or `https://`, with `user:password@` where it asks) for upstreams and collectors, and for the provider with `oidc.use_proxy`; hosts, `.domains` or `*` reached without it. Lower-case names count too; one proxy variable serves both schemes, except for collectors and the webhook, whose plain `http://` takes `HTTP_PROXY` alone. Every connection is a CONNECT, so the proxy must allow the ports of plain `http://` origins too.',
  ],
  ['NODE_EXTRA_CA_CERTS', 'PEM file with further certificate authorities to trust.'],
  [
    'AWS_ENDPOINT_URL_STS',
    'Address of STS for `assume_role`, such as a VPC or FIPS endpoint, instead of the one of the region.',
  ],
]

/** The reference's, below the 30 s that orchestrators wait by default. */
const drainTimeoutMs = 25_000

/** `warnings` name the variable, what was found and what is used instead. */
export function readEnvironment(environment: Environment): {
  readonly settings: EnvironmentSettings
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
  const allowLoopback = readFlag(environment, 'CLAUDE_GATEWAY_ALLOW_LOOPBACK', warnings)
  const { proxies, warnings: proxyWarnings } = readProxies(environment)
  warnings.push(...proxyWarnings)
  const settings = {
    logLevel: readLogLevel(environment, warnings),
    drainTimeoutMs:
      readWholeNumber(
        environment,
        'CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS',
        drainMaxMs,
        warnings,
        drainTimeoutMs,
      ) ?? drainTimeoutMs,
    allowLoopback,
    proxies,
    proxyIsEgressBoundary: readBoundary(environment, allowLoopback, warnings),
    openRequestsMax: readWholeNumber(environment, 'BUN_CONFIG_MAX_HTTP_REQUESTS', 65_535, warnings),
    hasExtraCa: (environment['NODE_EXTRA_CA_CERTS'] ?? '') !== '',
    stsUrl: readUrl(environment, 'AWS_ENDPOINT_URL_STS', warnings),
  }
  return { settings, warnings }
}

/** Nobody may believe that names stay unresolved when they do not. */
function readBoundary(
  environment: Environment,
  allowLoopback: boolean,
  warnings: string[],
): boolean {
  const name = 'CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY'
  if (!readFlag(environment, name, warnings)) return false
  const blockers = findBoundaryBlockers(environment, allowLoopback)
  if (blockers.length > 0) {
    warnings.push(
      `${name} has no effect, because ${blockers.join(' and ')}: names are resolved here`,
    )
  }
  return isEgressBoundary(environment, allowLoopback)
}

/** The longest delay a timer of Node takes, 24.8 days. */
const drainMaxMs = 2_147_483_647

/** Exactly `1` and `true` turn a switch on; the loader asks for the loopback one too. */
export function isOn(environment: Environment, name: string): boolean {
  return environment[name] === '1' || environment[name] === 'true'
}

const offSpellings: ReadonlySet<string> = new Set(['', '0', 'false'])

function readFlag(environment: Environment, name: string, warnings: string[]): boolean {
  const text = environment[name]
  if (isOn(environment, name)) return true
  if (text !== undefined && !offSpellings.has(text)) {
    warnings.push(`${name} is ${quote(text)}; only 1 and true turn it on, so it is off`)
  }
  return false
}

function readUrl(environment: Environment, name: string, warnings: string[]): string | undefined {
  const text = environment[name]
  if (text === undefined || text === '') return undefined
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text
  // The value is not shown: an address may hold a password.
  warnings.push(`${name} is no http:// or https:// address, so it is not used`)
  return undefined
}

function readLogLevel(environment: Environment, warnings: string[]): LogLevel {
  const name = 'CLAUDE_GATEWAY_LOG_LEVEL'
  const text = environment[name]
  if (text === undefined || text === '') return 'info'
  const level = logLevels.find((known) => known === text)
  if (level !== undefined) return level
  const [close] = nearest(text, logLevels)
  const hint = close === undefined ? '' : ` (did you mean ${close}?)`
  warnings.push(
    `${name} is ${quote(text)}${hint}; it takes ${logLevels.join(', ')}, so info is used`,
  )
  return 'info'
}

function readWholeNumber(
  environment: Environment,
  name: string,
  max: number,
  warnings: string[],
  instead?: number,
): number | undefined {
  const text = environment[name]
  if (text === undefined || text === '') return undefined
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= max) return number
  const used = instead === undefined ? 'the built-in bound' : String(instead)
  warnings.push(
    `${name} is ${quote(text)}; it takes a whole number from 1 to ${max}, so ${used} is used`,
  )
  return undefined
}

/** Longest part of a variable repeated in a warning: enough to recognise it. */
const quotedMax = 40

function quote(text: string): string {
  return JSON.stringify(text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text)
}
