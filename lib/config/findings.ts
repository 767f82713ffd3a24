/**
 * Everything found in one file, in one place: gathers complaints of all stages, gives them lines
 * and columns, and lets no secret through. The stages only say what is wrong and where.
 */
import type { KeyPath } from '../kernel/report.ts'
import type { Complaint, Complaints } from './complaint.ts'

export interface ConfigProblem {
  /** As given on the command line. */
  readonly file: string
  /** From 1, as editors count; so is `column`. */
  readonly line: number
  readonly column: number
  /** Dotted, such as `upstreams.0.auth.api_key`; empty for the file as a whole. */
  readonly path: string
  /** Completes the sentence "expected …". */
  readonly expected: string
  /** Completes the sentence "found …"; never a secret's value. */
  readonly found: string
  /** Known words near the one found, nearest first. */
  readonly nearest: readonly string[]
}

export interface ConfigWarning {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path: string
  readonly text: string
}

export interface Findings extends Complaints {
  /** True when `path` or a block around it was complained about. */
  readonly covers: (path: KeyPath) => boolean
  /** True when something inside `path` was complained about. */
  readonly coversInside: (path: KeyPath) => boolean
  /** The paths of all errors so far. */
  readonly paths: () => readonly KeyPath[]
  /** Texts that no line may show, from now on and in what was found before. */
  readonly hide: (text: string) => void
  readonly problems: () => readonly ConfigProblem[]
  readonly warnings: () => readonly ConfigWarning[]
}

type Position = (offset: number) => { readonly line: number; readonly column: number }

/** Shorter values occur in ordinary words: replacing them would only garble the report. */
const hiddenLengthMin = 8

export function createFindings(file: string, position: Position): Findings {
  const errors: { readonly offset: number; readonly complaint: Complaint }[] = []
  const warnings: { readonly offset: number; readonly path: KeyPath; readonly text: string }[] = []
  const hidden = new Set<string>()
  const scrub = (text: string): string => {
    let clean = text
    for (const secret of hidden) clean = clean.replaceAll(secret, '(hidden)')
    return clean
  }
  const error = (offset: number, complaint: Complaint): void => {
    errors.push({ offset, complaint })
  }
  const warn = (offset: number, path: KeyPath, text: string): void => {
    warnings.push({ offset, path, text })
  }
  return {
    error,
    warn,
    duplicate(earlierOffset, laterOffset, path) {
      const first = position(earlierOffset).line
      const last = position(laterOffset).line
      warn(
        laterOffset,
        path,
        `stands on line ${first} and again on line ${last}; the last one counts`,
      )
    },
    covers: (path) => errors.some(({ complaint }) => isWithin(path, complaint.path)),
    coversInside: (path) =>
      errors.some(({ complaint }) => complaint.path.length > 0 && isWithin(complaint.path, path)),
    paths: () => errors.map(({ complaint }) => complaint.path),
    hide(text) {
      if (text.length >= hiddenLengthMin) hidden.add(text)
    },
    problems: () =>
      unique(
        errors.map(({ offset, complaint }) => ({
          file,
          ...position(offset),
          path: dotted(complaint.path),
          expected: complaint.expected,
          found: scrub(complaint.found),
          nearest: complaint.nearest ?? [],
        })),
      ),
    warnings: () =>
      unique(
        warnings.map(({ offset, path, text }) => ({
          file,
          ...position(offset),
          path: dotted(path),
          text: scrub(text),
        })),
      ),
  }
}

/** Steps that would read as several are quoted: `telemetry.resource_attributes."user.id"`. */
export function dotted(path: KeyPath): string {
  return path
    .map((step) =>
      typeof step === 'number' || /^[\w-]+$/.test(step) ? String(step) : JSON.stringify(step),
    )
    .join('.')
}

/** True when `path` is `around` or lies inside it; nothing lies inside the whole file. */
export function isWithin(path: KeyPath, around: KeyPath): boolean {
  if (around.length === 0) return path.length === 0
  return around.length <= path.length && around.every((step, index) => step === path[index])
}

/** In the order of the file, each said once. */
function unique<T extends { readonly line: number; readonly column: number }>(
  findings: readonly T[],
): readonly T[] {
  const seen = new Map(findings.map((finding) => [JSON.stringify(finding), finding]))
  return [...seen.values()].toSorted((a, b) => a.line - b.line || a.column - b.column)
}
