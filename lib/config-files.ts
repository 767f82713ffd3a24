/**
 * The configuration as files on disk: reads it with everything it names, and tells whether any of
 * those files has changed since. By content, at intervals: watchers lose sight of files that are
 * swapped by symbolic links, as orchestrators do, or that live on network file systems.
 */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { loadConfig, type LoadedConfig } from './config.ts'
import { readBoundedFile } from './config/files.ts'
import type { Environment } from './kernel/report.ts'

export interface ConfigFiles {
  /** As given on the command line. */
  readonly path: string
  /** Reads everything anew and remembers what it read. */
  load(nowMs: number): LoadedConfig
  /** What the files of the last load hold now; another text says that something changed. */
  fingerprint(): Promise<string>
  /** What they held when they were loaded. */
  readonly loaded: string
}

export function createConfigFiles(path: string, environment: Environment): ConfigFiles {
  let digests = new Map<string, string>()
  const read = (file: string): Uint8Array => {
    const bytes = readBoundedFile(file)
    // A pipe is empty when it is read again.
    if (statSync(file).isFile()) digests.set(file, digestOf(bytes))
    return bytes
  }
  return {
    path,
    load(now) {
      digests = new Map()
      return loadConfig({ path, environment, now, readFile: read })
    },
    async fingerprint() {
      const files = [...digests.keys()]
      return join(files, await Promise.all(files.map(digestNow)))
    },
    get loaded() {
      return join([...digests.keys()], [...digests.values()])
    },
  }
}

/** A file that cannot be read is different from any that can. */
async function digestNow(file: string): Promise<string> {
  try {
    return digestOf(await readFile(file))
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

function join(files: readonly string[], digests: readonly string[]): string {
  return files.map((file, index) => `${file} ${digests[index]}`).join('\n')
}
