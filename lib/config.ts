/**
 * `gateway.yaml`, from bytes to a frozen `Config`, or to every problem in it at once. Called by
 * bin to serve and to check. A pure function of the file, the environment and the files the
 * configuration names: it never opens a connection.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { parseDocument } from 'yaml'
import type { Config } from './config/sections.ts'
import { configSchema } from './config/sections.ts'
import type { Environment } from './kernel/report.ts'

export type { Config } from './config/sections.ts'

export interface ConfigProblem {
  /** As given on the command line. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** Dotted, e.g. `upstreams.0.auth.api_key`; empty for the file as a whole. */
  readonly path: string
  readonly expected: string
  readonly found: string
  readonly nearest: readonly string[]
}

export interface ConfigWarning {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path: string
  readonly text: string
}

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
  readonly readFile?: (path: string) => Uint8Array
}

export function loadConfig({ path, readFile = readFileSync }: ConfigSource): LoadedConfig {
  const bytes = readFile(path)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const document = parseDocument(Buffer.from(bytes).toString('utf8'))
  const parsed = v.safeParse(configSchema, document.toJS())
  if (parsed.success) {
    return { kind: 'ok', config: parsed.output, warnings: [], notes: [], sha256 }
  }
  const problems = parsed.issues.map((issue) => ({
    file: path,
    line: 1,
    column: 1,
    path: v.getDotPath(issue) ?? '',
    expected: issue.message,
    found: '',
    nearest: [],
  }))
  return { kind: 'invalid', problems, warnings: [] }
}

/** One problem a line, ready for a terminal; no secret's value is in it. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(({ file, line, column, path, expected, found, nearest }) => {
      const place = `${file}:${line}:${column}`
      const hint = nearest.length === 0 ? '' : `; did you mean ${nearest.join(' or ')}?`
      return `${place} ${path}: expected ${expected}, found ${found}${hint}`
    })
    .join('\n')
}
