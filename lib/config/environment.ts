/**
 * The environment variables that steer the gateway itself, as typed values. Called by bin before
 * anything else. A value that makes no sense is never fatal, as on the reference, but said.
 */
import { type LogLevel, logLevels } from '../kernel/log.ts'
import type { Environment } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'

export interface EnvironmentSettings {
  readonly logLevel: LogLevel
  /** How long open requests may run on after SIGTERM. */
  readonly drainTimeoutMs: number
  /** Loopback addresses are allowed for issuer, upstreams, collectors and webhook. */
  readonly allowLoopback: boolean
  /** Hostnames go to the forward proxy unresolved. */
  readonly proxyIsEgressBoundary: boolean
  /** `BUN_CONFIG_MAX_HTTP_REQUESTS`; undefined leaves the built-in bound. */
  readonly openRequestsMax: number | undefined
  /** `NODE_EXTRA_CA_CERTS` is set; Node itself reads it. */
  readonly hasExtraCa: boolean
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
    'Not supported yet: `1` or `true` sends host names to the forward proxy unresolved.',
  ],
  [
    'BUN_CONFIG_MAX_HTTP_REQUESTS',
    'Requests open at once in one process, 1 to 65535. The name is the one existing deployments set.',
  ],
  [
    'HTTPS_PROXY, HTTP_PROXY, NO_PROXY',
    'Not supported yet: forward proxy for what leaves the gateway, and hosts reached without it.',
  ],
  ['NODE_EXTRA_CA_CERTS', 'PEM file with further certificate authorities to trust.'],
]

/** The reference's, below the 30 s that orchestrators wait by default. */
const drainTimeoutMs = 25_000

/** `warnings` name the variable, what was found and what is used instead. */
export function readEnvironment(environment: Environment): {
  readonly settings: EnvironmentSettings
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
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
    allowLoopback: readFlag(environment, 'CLAUDE_GATEWAY_ALLOW_LOOPBACK', warnings),
    proxyIsEgressBoundary: readFlag(
      environment,
      'CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY',
      warnings,
    ),
    openRequestsMax: readWholeNumber(environment, 'BUN_CONFIG_MAX_HTTP_REQUESTS', 65_535, warnings),
    hasExtraCa: (environment['NODE_EXTRA_CA_CERTS'] ?? '') !== '',
  }
  warnOfProxies(environment, settings.proxyIsEgressBoundary, warnings)
  return { settings, warnings }
}

/** Until requests can go through a proxy, nobody may believe that they do. */
function warnOfProxies(environment: Environment, isBoundary: boolean, warnings: string[]): void {
  const set = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].filter(
    (name) => (environment[name] ?? '') !== '',
  )
  if (isBoundary) set.unshift('CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY')
  if (set.length === 0) return
  const verb = set.length === 1 ? 'is' : 'are'
  warnings.push(
    `${set.join(', ')} ${verb} not supported by this version yet: every host is resolved here and reached directly`,
  )
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
