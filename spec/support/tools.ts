/**
 * Programs of the machine that some specs need, such as nginx. Without one its specs are skipped
 * with a line that names it; with CI=true that is a failure, because then nobody would notice. What
 * not every machine can install is `optional`, and skipped there too.
 */
import { execFileSync } from 'node:child_process'

export interface ToolOptions {
  /** For node:test: why the test does not run, or false. */
  readonly skip: string | false
}

/** As `findTool`, for what cannot be had on every machine of CI. */
export function findOptionalTool(name: string, ...args: readonly string[]): ToolOptions {
  return { skip: runs(name, args) === null ? false : `${name} is not on this machine` }
}

/** `args` make it print something and end; its exit code counts. */
export function findTool(name: string, ...args: readonly string[]): ToolOptions {
  const failure = runs(name, args)
  if (failure === null) return { skip: false }
  if (process.env['CI'] === 'true') {
    throw new Error(`${name} is missing, and CI=true: .ci/run installs it`, { cause: failure })
  }
  return { skip: `${name} is not on this machine` }
}

/** Null, or why it does not. */
function runs(name: string, args: readonly string[]): unknown {
  try {
    execFileSync(name, args, { stdio: 'ignore' })
    return null
  } catch (error) {
    return error
  }
}
