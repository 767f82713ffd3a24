/**
 * What the checks of a configuration may look at besides the file: the environment, the clock
 * and the files it names. Never a network, never a database.
 */
import type { Environment, KeyPath } from '../kernel/report.ts'

export interface ConfigFacts {
  readonly environment: Environment
  /** `CLAUDE_GATEWAY_ALLOW_LOOPBACK`: loopback addresses are fine, for trying things out. */
  readonly allowLoopback: boolean
  /** Milliseconds since the epoch, for the validity of certificates. */
  readonly now: number
  /** True when the file has something at this path, whatever it is. */
  readonly isSet: (path: KeyPath) => boolean
  /** Throws the system's error, with its `code`. */
  readonly readFile: (path: string) => Uint8Array
  /** A line for the log at level info. */
  readonly note: (text: string) => void
}

/** Why a file could not be read, in words; the path itself stands beside it. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return (
    fileProblems.get(code) ?? (code === '' ? 'it cannot be read' : `it cannot be read (${code})`)
  )
}

const fileProblems: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'it is a directory'],
  ['ENOTDIR', 'a part of its path is not a directory'],
  ['EACCES', 'this user may not read it'],
  ['EPERM', 'this user may not read it'],
  ['ELOOP', 'its symbolic links go in a circle'],
  ['ENAMETOOLONG', 'its path is too long'],
  ['EFBIG', 'it is too large'],
  ['ESPIPE', 'it is a pipe or a device, which cannot be read again'],
])
