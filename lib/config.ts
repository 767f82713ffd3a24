/**
 * `gateway.yaml`, from bytes to a frozen `Config`, or to every problem in it at once. Called by
 * bin to serve and to check. A pure function of the file, the environment and the files the
 * configuration names: it never opens a connection.
 */
import { createHash } from 'node:crypto'
import { runChecks, runWarnings } from './config/checks.ts'
import { isOn } from './config/environment.ts'
import {
  type ConfigProblem,
  type ConfigWarning,
  createFindings,
  type Findings,
} from './config/findings.ts'
import { readBoundedFile } from './config/files.ts'
import { placeAt } from './config/place.ts'
import { readYaml } from './config/read-yaml.ts'
import { createReport } from './config/report.ts'
import { type Config, configSchema } from './config/sections.ts'
import { type Shape, shapeOf } from './config/shape.ts'
import { validate } from './config/validate.ts'
import type { Environment } from './kernel/report.ts'
import { type ConfigFacts, fileProblem } from './schema/facts.ts'

export type { Config } from './config/sections.ts'

export type LoadedConfig =
  | {
      readonly kind: 'ok'
      readonly config: Config
      readonly warnings: readonly ConfigWarning[]
      /** Lines for the log at level info. */
      readonly notes: readonly string[]
      /** Of the file's bytes, 64 hex digits. */
      readonly sha256: string
    }
  | {
      readonly kind: 'invalid'
      readonly problems: readonly ConfigProblem[]
      readonly warnings: readonly ConfigWarning[]
    }

export interface ConfigSource {
  /** As given on the command line. */
  readonly path: string
  readonly environment: Environment
  /** Milliseconds since the epoch, for the validity of certificates. */
  readonly now: number
  /** Throws the system's error, with its `code`. */
  readonly readFile?: (path: string) => Uint8Array
}

export function loadConfig({
  path,
  environment,
  now,
  readFile = readBoundedFile,
}: ConfigSource): LoadedConfig {
  const bytes = readBytes(path, readFile)
  if (bytes.kind === 'invalid') return bytes
  let findings = createFindings(path, () => ({ line: 1, column: 1 }))
  const { root } = readYaml(bytes.text, { environment, readFile }, (position) => {
    findings = createFindings(path, position)
    return findings
  })
  if (root === null) return invalid(findings)
  const shape = configShape()
  const { output, sound } = validate(configSchema, shape, root, findings)
  const notes: string[] = []
  const facts: ConfigFacts = {
    environment,
    allowLoopback: isOn(environment, 'CLAUDE_GATEWAY_ALLOW_LOOPBACK'),
    now,
    isSet: (keyPath) => placeAt(root, keyPath) !== undefined,
    readFile,
    note: (text) => void notes.push(text),
  }
  const report = createReport(root, shape, findings)
  runChecks(sound, facts, report)
  if (output === undefined || findings.problems().length > 0) return invalid(findings)
  runWarnings(output, report)
  const config = deepFreeze(output)
  return { kind: 'ok', config, warnings: findings.warnings(), notes, sha256: bytes.sha256 }
}

/** One problem a line, ready for a terminal; no secret's value is in it. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(({ file, line, column, path, expected, found, nearest }) => {
      const where = `${file}:${line}:${column}:${path === '' ? '' : ` ${path}:`}`
      const hint = nearest.length === 0 ? '' : `; did you mean ${nearest.join(' or ')}?`
      return `${where} expected ${expected}, found ${found}${hint}`
    })
    .join('\n')
}

/** A warning as one line for the log; no secret's value is in it. */
export function formatWarning({ file, line, column, path, text }: ConfigWarning): string {
  return `${file}:${line}:${column}:${path === '' ? '' : ` ${path}:`} ${text}`
}

/** Warnings for a terminal, each on a line of its own. */
export function formatWarnings(warnings: readonly ConfigWarning[]): string {
  return warnings.map((warning) => `warning: ${formatWarning(warning)}\n`).join('')
}

/** Made when first needed: only checking and serving read it, `--help` does not. */
let shapeOfConfig: Shape | undefined
function configShape(): Shape {
  shapeOfConfig ??= shapeOf(configSchema)
  return shapeOfConfig
}

type ReadBytes =
  | { readonly kind: 'text'; readonly text: string; readonly sha256: string }
  | Extract<LoadedConfig, { kind: 'invalid' }>

function readBytes(path: string, readFile: (path: string) => Uint8Array): ReadBytes {
  const refuse = (expected: string, found: string): ReadBytes => {
    const findings = createFindings(path, () => ({ line: 1, column: 1 }))
    findings.error(0, { path: [], expected, found })
    return invalid(findings)
  }
  let bytes: Uint8Array
  try {
    bytes = readFile(path)
  } catch (error) {
    // Said as a problem like any other: the operator sees one form of report.
    return refuse('a readable configuration file', fileProblem(error))
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { kind: 'text', text, sha256: createHash('sha256').update(bytes).digest('hex') }
  } catch {
    // The decoder only says that it failed.
    return refuse('UTF-8 text', 'bytes that are none')
  }
}

function invalid(findings: Findings): Extract<LoadedConfig, { kind: 'invalid' }> {
  return { kind: 'invalid', problems: findings.problems(), warnings: findings.warnings() }
}

/** Nobody changes a configuration that is being served; a reload makes another one. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const item of Object.values(value)) deepFreeze(item)
  }
  return value
}
