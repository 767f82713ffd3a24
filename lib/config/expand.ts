/**
 * `${VAR}` and `${file:/abs/path}` inside the texts of the file (spec: values only, never keys,
 * once, no escapes, no defaults). What comes out is a secret to every message.
 */
import type { Environment } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import { fileProblem } from '../schema/facts.ts'

export interface ExpandSources {
  readonly environment: Environment
  /** Throws the system's error, with its `code`. */
  readonly readFile: (path: string) => Uint8Array
}

export type Expansion =
  /** `references` is empty when nothing was replaced. */
  | { readonly kind: 'text'; readonly text: string; readonly references: readonly string[] }
  | {
      readonly kind: 'failed'
      readonly problems: readonly {
        readonly expected: string
        readonly found: string
        readonly nearest: readonly string[]
      }[]
    }

const variable = /\$\{(\w+)\}/g
const wholeFile = /^\$\{file:([^}]*)\}$/

export function expand(text: string, sources: ExpandSources): Expansion {
  // Nearly every text of a file: no need to look closer.
  if (!text.includes('${')) return { kind: 'text', text, references: [] }
  const file = wholeFile.exec(text)?.[1]
  return file === undefined
    ? expandVariables(text, sources.environment)
    : expandFile(file, sources.readFile)
}

/** True for texts that look as if they should have been expanded, but stay as written. */
export function looksUnexpanded(text: string): boolean {
  return /\$\{(?:file:|\w+:?[-?+=])/.test(text)
}

function expandVariables(text: string, environment: Environment): Expansion {
  const references: string[] = []
  const missing: string[] = []
  const expanded = text.replaceAll(variable, (reference, name: string) => {
    // An own property only: `${constructor}` is a variable that is not set.
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (found === undefined) missing.push(name)
    references.push(reference)
    return found ?? ''
  })
  if (missing.length === 0) return { kind: 'text', text: expanded, references }
  const problems = [...new Set(missing)].map((name) => ({
    expected: `the environment variable ${name} to be set`,
    found: 'no such variable',
    nearest: nearest(name, Object.keys(environment)),
  }))
  return { kind: 'failed', problems }
}

function expandFile(path: string, readFile: ExpandSources['readFile']): Expansion {
  const expected = 'a readable file with an absolute path'
  const failed = (found: string): Expansion => ({
    kind: 'failed',
    problems: [{ expected, found, nearest: [] }],
  })
  if (!path.startsWith('/')) return failed(`the relative path ${JSON.stringify(path)}`)
  let bytes: Uint8Array
  try {
    bytes = readFile(path)
  } catch (error) {
    // An unreadable file is a mistake of the operator, reported like any other.
    return failed(`${path}: ${fileProblem(error)}`)
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
    return { kind: 'text', text, references: [`\${file:${path}}`] }
  } catch {
    // Only text can stand in a configuration; a decoder's message would say no more.
    return failed(`${path}: it is not UTF-8 text`)
  }
}
