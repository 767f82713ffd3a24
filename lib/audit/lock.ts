/**
 * Keeps a file to one process: a second one would fork the chain. A lock file names its owner and
 * is touched while the owner lives, because an owner in another container cannot be asked.
 */
import { open, readFile, stat, unlink, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Clock } from '../kernel/clock.ts'

/** The process, as bin knows it. */
export interface Owner {
  readonly pid: number
  isAlive(pid: number): boolean
}

const touchMs = 5000
/** So long without a touch means that the owner is gone. */
const staleMs = 20_000

/** Resolves with what gives the lock back; rejects when somebody else has it. */
export async function lockFile(
  path: string,
  owner: Owner,
  clock: Clock,
): Promise<() => Promise<void>> {
  await removeStale(path, owner, clock)
  const handle = await open(path, 'wx', 0o640).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EEXIST' ? 'another gateway writes the file' : error.message
    throw new Error(`extensions.audit: ${path}: ${reason}`, { cause: error })
  })
  await handle.writeFile(`${hostname()} ${owner.pid}`)
  await handle.close()
  const timer = clock.every(touchMs, () => {
    const now = new Date(clock.now())
    utimes(path, now, now).catch(() => {}) // gone or unwritable: the next start sorts it out
  })
  return async () => {
    timer.cancel()
    await unlink(path).catch(() => {}) // somebody cleaned up already
  }
}

async function removeStale(path: string, owner: Owner, clock: Clock): Promise<void> {
  try {
    const [host, pid] = (await readFile(path, 'utf8')).split(' ')
    const { mtimeMs } = await stat(path)
    const isHere = host === hostname()
    // Our own number is that of an earlier life: in a container it is always the same.
    const isGone = isHere
      ? Number(pid) === owner.pid || !owner.isAlive(Number(pid))
      : clock.now() - mtimeMs > staleMs
    if (isGone) await unlink(path)
  } catch {
    // There is none.
  }
}
