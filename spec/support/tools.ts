/**
 * Programs of the machine that some specs need, such as nginx. Without one its specs are skipped
 * with a line that names it; with CI=true that is a failure, because then nobody would notice.
 */
import { execFileSync } from 'node:child_process'

export interface ToolOptions {
  /** For node:test: why the test does not run, or false. */
  readonly skip: string | false
}

/** `args` make it print something and end; its exit code counts. */
export function findTool(name: string, ...args: readonly string[]): ToolOptions {
  try {
    execFileSync(name, args, { stdio: 'ignore' })
    return { skip: false }
  } catch (error) {
    if (process.env['CI'] === 'true') {
      throw new Error(`${name} is missing, and CI=true: .ci/run installs it`, { cause: error })
    }
    return { skip: `${name} is not on this machine` }
  }
}
