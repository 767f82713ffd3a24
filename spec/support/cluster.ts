/** A PostgreSQL cluster that was made before: copying it takes a tenth of the time of making one. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Copies a cluster that no server runs on, owners and modes included; resolves to `to`. */
export async function copyCluster(from: string, to: string): Promise<string> {
  await promisify(execFile)('cp', ['--archive', '--no-target-directory', from, to])
  return to
}
