/** What the stages of the loader tell the report: facts and an offset, no line, no file name. */
import type { KeyPath } from '../kernel/report.ts'

export interface Complaint {
  readonly path: KeyPath
  /** Completes the sentence "expected …". */
  readonly expected: string
  /** Completes the sentence "found …". Must never hold a secret's value. */
  readonly found: string
  readonly nearest?: readonly string[]
}

export interface Complaints {
  error(offset: number, complaint: Complaint): void
  warn(offset: number, path: KeyPath, text: string): void
  /** The same key twice; the later one counts. */
  duplicate(earlierOffset: number, laterOffset: number, path: KeyPath): void
}

/** Names that would reach into JavaScript's own objects: never a key of anything here. */
export const prototypeKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
