/**
 * The configuration as files on disk: reads it with everything it names, and tells whether any of
 * those files has changed since. By content, at intervals: watchers lose sight of files that are
 * swapped by symbolic links, as orchestrators do, or that live on network file systems.
 */
import { createHash } from 'node:crypto'
import { type Stats, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { loadConfig, type LoadedConfig } from './config.ts'
import { fileBytesMax, readBoundedFile } from './config/files.ts'
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

/** What a pipe or a device holds is gone once it is read, and opening one may wait for ever. */
const notAgain = 'ESPIPE'

export function createConfigFiles(path: string, environment: Environment): ConfigFiles {
  /** By path: the digest, or the code of the error. A file that is missing may come, so it counts. */
  let states = new Map<string, string>()
  let isFirst = true
  const read = (file: string): Uint8Array => {
    try {
      const isLasting = lasts(statSync(file))
      if (!isLasting && !isFirst) {
        throw Object.assign(new Error(`${file} cannot be read again`), { code: notAgain })
      }
      const bytes = readBoundedFile(file)
      if (isLasting) states.set(file, digestOf(bytes))
      return bytes
    } catch (error) {
      states.set(file, codeOf(error))
      throw error
    }
  }
  return {
    path,
    load(now) {
      states = new Map()
      const loaded = loadConfig({ path, environment, now, readFile: read })
      isFirst = false
      return loaded
    },
    async fingerprint() {
      const files = [...states.keys()]
      return join(files, await Promise.all(files.map(stateNow)))
    },
    get loaded() {
      return join([...states.keys()], [...states.values()])
    },
  }
}

/** In the words of `read`: whatever is refused there has the same state here while it lasts. */
async function stateNow(file: string): Promise<string> {
  try {
    const found = await stat(file)
    if (!lasts(found)) return notAgain
    return found.size > fileBytesMax ? 'EFBIG' : digestOf(await readFile(file))
  } catch (error) {
    return codeOf(error)
  }
}

/** A folder too: reading it fails at once, and says why. */
function lasts(found: Stats): boolean {
  return found.isFile() || found.isDirectory()
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

function join(files: readonly string[], digests: readonly string[]): string {
  return files.map((file, index) => `${file} ${digests[index]}`).join('\n')
}
