/**
 * Loads a minimal configuration with a few changes, for specs of single rules: they say which
 * keys they change and read back lines, as an operator would.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import {
  type Config,
  formatProblems,
  formatWarning,
  loadConfig,
  type LoadedConfig,
} from '../../lib/config.ts'
import type { Environment } from '../../lib/kernel/report.ts'

const fixture = new URL('../fixtures/config/minimal.yaml', import.meta.url)
const minimal = readFileSync(fixture, 'utf8')
const pemFixtures = new URL('../fixtures/pem/', import.meta.url)

export interface LoadOptions {
  readonly environment?: Environment
  /** Contents by path; anything else is not there. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** Milliseconds since the epoch; within the validity of the certificates in spec/fixtures. */
  readonly now?: number
}

export interface Loaded {
  readonly loaded: LoadedConfig
  /** `path: expected …, found …` of each problem, without its position. */
  readonly problems: readonly string[]
  /** `path: text` of each warning. */
  readonly warnings: readonly string[]
  /** Throws with the problems when there are any. */
  readonly config: () => Config
}

/** `changes` by dotted path; undefined deletes. */
export function loadWith(
  changes: Readonly<Record<string, unknown>>,
  options: LoadOptions = {},
): Loaded {
  const root = parse(minimal)
  for (const [path, value] of Object.entries(changes)) edit(root, path.split('.'), value)
  return loadText(JSON.stringify(root, null, 2), options)
}

export function loadText(text: string | Uint8Array, options: LoadOptions = {}): Loaded {
  const path = 'gateway.yaml'
  const files: Readonly<Record<string, string | Uint8Array>> = { ...options.files, [path]: text }
  const loaded = loadConfig({
    path,
    environment: { CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1', ...options.environment },
    now: options.now ?? Date.parse('2027-06-01T00:00:00Z'),
    readFile(name) {
      const content = files[name]
      if (content === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      return Buffer.from(content)
    },
  })
  const withoutPlace = (line: string): string => line.replace(/^gateway\.yaml:\d+:\d+: ?/, '')
  const problems = loaded.kind === 'invalid' ? loaded.problems : []
  return {
    loaded,
    problems: problems.map((problem) => withoutPlace(formatProblems([problem]))),
    warnings: loaded.warnings.map((warning) => withoutPlace(formatWarning(warning))),
    config() {
      if (loaded.kind === 'ok') return loaded.config
      throw new Error(formatProblems(loaded.problems))
    },
  }
}

/** A file of spec/fixtures/pem as text. */
export function pem(name: string): string {
  return readFileSync(new URL(name, pemFixtures), 'utf8')
}

export function edit(
  target: unknown,
  [step = '', ...rest]: readonly string[],
  value: unknown,
): void {
  if (typeof target !== 'object' || target === null) throw new Error(`nothing to edit at ${step}`)
  // Test data: plain JSON, whose members are addressed by name.
  const members = target as Record<string, unknown>
  if (rest.length > 0) edit((members[step] ??= {}), rest, value)
  else if (value === undefined) delete members[step]
  else members[step] = value
}
