/**
 * Keeps a file to one process: a second one would fork the chain. The lock is a folder of numbered
 * files; whoever has made the one with the highest number owns it, and nobody can make it twice,
 * so that of many who find a dead owner's lock exactly one takes it. The owner touches its file
 * while it lives, because an owner in another container cannot be asked.
 */
import { mkdir, open, readdir, readFile, stat, unlink, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type Clock, sleep } from '../kernel/clock.ts'

/** The process, as bin knows it. */
export interface Owner {
  readonly pid: number
  isAlive(pid: number): boolean
}

const touchMs = 5000
/** So long without a touch means that the owner is gone. */
const staleMs = 20_000
/** Somebody who lives touches within this time, on a busy machine too. */
const watchMs = 7500
/** Of a lock that was given back. It stays: numbers never start again while somebody may look. */
const released = new Date(0)
/** Somebody who looks while two others come and go still sees the highest number. */
const kept = 2

/** Resolves with what gives the lock back; rejects when somebody else has it. */
export async function lockFile(
  path: string,
  owner: Owner,
  clock: Clock,
): Promise<() => Promise<void>> {
  const own = await take(path, owner, clock).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`extensions.audit: ${path}: ${reason}`, { cause: error })
  })
  const timer = clock.every(touchMs, () => {
    const now = new Date(clock.now())
    utimes(own, now, now).catch(() => {}) // gone or unwritable: the next start sorts it out
  })
  return async () => {
    timer.cancel()
    await utimes(own, released, released).catch(() => {}) // somebody cleaned up already
  }
}

async function take(path: string, owner: Owner, clock: Clock): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o750 })
  const last = await highest(path)
  if (last > 0 && !(await isFree(join(path, String(last)), owner, clock))) refuse()
  const mine = last + 1
  const own = join(path, String(mine))
  // Exclusive: of all who saw the same number one makes the next.
  const handle = await open(own, 'wx', 0o640).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return refuse(error)
    throw error
  })
  await handle.writeFile(`${hostname()} ${owner.pid}`)
  await handle.close()
  // Whoever was slow between looking and making has been overtaken.
  if ((await highest(path)) !== mine) {
    await unlink(own).catch(() => {}) // then it is gone already
    refuse()
  }
  await removeOld(path, mine - kept)
  return own
}

function refuse(cause?: unknown): never {
  throw new Error('another gateway writes the file', { cause })
}

async function highest(path: string): Promise<number> {
  const names = await readdir(path)
  return Math.max(0, ...names.filter((name) => /^\d{1,15}$/.test(name)).map(Number))
}

async function isFree(file: string, owner: Owner, clock: Clock): Promise<boolean> {
  const { mtimeMs } = await stat(file)
  if (mtimeMs === released.getTime()) return true
  const [host = '', pid] = (await readFile(file, 'utf8')).split(' ')
  if (host !== hostname()) return clock.now() - mtimeMs > staleMs
  if (Number(pid) !== owner.pid) return !owner.isAlive(Number(pid))
  // Ours: an earlier life in a container, where it is always the same, or another container that
  // was given this name too and shares the file by mistake. The one that lives touches it.
  await sleep(clock, watchMs)
  return (await stat(file)).mtimeMs === mtimeMs
}

async function removeOld(path: string, upTo: number): Promise<void> {
  const names = await readdir(path)
  const old = names.filter((name) => /^\d{1,15}$/.test(name) && Number(name) <= upTo)
  await Promise.all(old.map((name) => unlink(join(path, name)).catch(() => {}))) // another did it
}
