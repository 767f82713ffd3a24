import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import pg from 'pg'
import { startPostgres } from '../../bin/demo/postgres.ts'

/** Removed when all is over: what a test starts in one of them is stopped after that test. */
const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  folders.push(folder)
  return folder
}

async function ask(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ answer: unknown }>(`SELECT (${text}) AS answer`)
    return rows[0]?.answer
  } finally {
    await client.end()
  }
}

/** A process that ended but was not yet waited for by its parent does not live. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** A process of its own that starts a server and says so. */
async function startElsewhere(folder: string) {
  const script = `
    import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, '../../bin/demo/postgres.ts'))}
    const server = await startPostgres({ dataDir: ${JSON.stringify(folder)}, fsync: false })
    console.log(JSON.stringify({ pid: server.pid, url: server.url }))
    setInterval(() => {}, 1000)
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line]: unknown[] = await once(createInterface({ input: child.stdout }), 'line')
  const { pid, url }: { pid: number; url: string } = JSON.parse(String(line))
  return { child, pid, url }
}

test('demo postgres: data and password survive a stop and a second start', async (t) => {
  const dataDir = await makeFolder()
  const lines: string[] = []
  const start = () => startPostgres({ dataDir, fsync: false, log: (line) => lines.push(line) })
  const first = await start()
  t.after(first.stop)
  assert.match(String(await ask(first.url, 'version()')), /^PostgreSQL 18/)
  const client = new pg.Client({ connectionString: first.url })
  await client.connect()
  await client.query('CREATE TABLE kept AS SELECT 7 AS n')
  await client.end()
  await first.stop()
  await first.exited
  assert.equal(isAlive(first.pid), false)

  const second = await start()
  t.after(second.stop)
  assert.equal(await ask(second.url, 'SELECT n FROM kept'), 7)
  assert.equal(new URL(second.url).password, new URL(first.url).password)
  assert.equal(lines.length, 1, 'only the first start makes a data folder')
})

test('demo postgres: two versions live side by side in one folder', async (t) => {
  const dataDir = await makeFolder()
  await chmod(dataDir, 0o755)
  for (const major of [11, 18] as const) {
    const server = await startPostgres({ dataDir, major, fsync: false })
    t.after(server.stop)
    assert.match(String(await ask(server.url, 'version()')), new RegExp(`^PostgreSQL ${major}\\b`))
  }
  assert.deepEqual((await readdir(dataDir)).toSorted(), ['cluster-11', 'cluster-18', 'password'])
})

test('demo postgres: works below a folder that only its owner may enter', async (t) => {
  const home = await makeFolder()
  const dataDir = join(home, 'checkout', 'data')
  await chmod(home, 0o700)
  const server = await startPostgres({ dataDir, fsync: false })
  t.after(server.stop)
  assert.equal(await ask(server.url, '1'), 1)
})

test('demo postgres: asks for its password and listens on the loopback address alone', async (t) => {
  const server = await startPostgres({ dataDir: await makeFolder(), fsync: false })
  t.after(server.stop)
  const wrong = new URL(server.url)
  wrong.password = 'guess'
  await assert.rejects(ask(wrong.href, '1'), /password authentication failed/)
  assert.equal(await ask(server.url, "current_setting('listen_addresses')"), '127.0.0.1')
  assert.equal(await ask(server.url, "current_setting('unix_socket_directories')"), '')
  const socket = connect(server.port, '127.0.0.2')
  const [error]: unknown[] = await once(socket, 'error')
  assert.match(String(error), /ECONNREFUSED/)
})

test('demo postgres: a busy port of the caller is an error that shows the reason', async (t) => {
  const server = await startPostgres({ dataDir: await makeFolder(), fsync: false })
  t.after(server.stop)
  await assert.rejects(
    startPostgres({ dataDir: await makeFolder(), fsync: false, port: server.port }),
    /PostgreSQL did not start[^]*in use/,
  )
})

test('demo postgres: ends with the process that started it, even by SIGKILL', async (t) => {
  const folder = await makeFolder()
  const { child, pid } = await startElsewhere(folder)
  assert.equal(isAlive(pid), true)
  child.kill('SIGKILL')
  // The next start waits for the dying server instead of failing.
  const next = await startPostgres({ dataDir: folder, fsync: false })
  t.after(next.stop)
  assert.equal(isAlive(pid), false)
  assert.equal(await ask(next.url, '1'), 1)
})

test('demo postgres: a folder in use by a living server is refused', async (t) => {
  const folder = await makeFolder()
  const { child, pid, url } = await startElsewhere(folder)
  t.after(() => child.kill('SIGKILL'))
  await assert.rejects(
    startPostgres({ dataDir: folder, fsync: false }),
    new RegExp(`Another PostgreSQL server \\(process ${pid}\\)`),
  )
  assert.equal(await ask(url, '1'), 1, 'and is left alone')
})

test('demo postgres: a lock file left by a crash, its number now another process, is no obstacle', async (t) => {
  const dataDir = await makeFolder()
  const server = await startPostgres({ dataDir, fsync: false })
  const lockFile = join(dataDir, 'cluster-18', 'postmaster.pid')
  const lock = await readFile(lockFile, 'utf8')
  await server.stop()
  // An innocent process of the account the server runs as, for which PostgreSQL mistakes it.
  const owner = await ownerOf(join(dataDir, 'cluster-18'))
  const other = spawn('sleep', ['60'], process.getuid?.() === 0 ? owner : {})
  t.after(() => other.kill())
  await writeFile(lockFile, lock.replace(/^\d+/, String(other.pid)), { mode: 0o600 })
  if (process.getuid?.() === 0) await chown(lockFile, owner.uid, owner.gid)
  const next = await startPostgres({ dataDir, fsync: false })
  t.after(next.stop)
  assert.equal(await ask(next.url, '1'), 1)
  assert.equal(other.exitCode, null)
})

test('demo postgres: a first start that was interrupted leaves nothing in the way', async (t) => {
  const dataDir = await makeFolder()
  await mkdir(join(dataDir, 'cluster-18.new', 'base'), { recursive: true })
  const server = await startPostgres({ dataDir, fsync: false })
  t.after(server.stop)
  assert.equal(await ask(server.url, '1'), 1)
})

test('demo postgres: a server halted by SIGSTOP still stops', async (t) => {
  const server = await startPostgres({ dataDir: await makeFolder(), fsync: false })
  t.after(server.stop)
  process.kill(server.pid, 'SIGSTOP')
  await server.stop()
  assert.equal(isAlive(server.pid), false)
})

async function ownerOf(folder: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = execFileSync('stat', ['-c', '%u %g', folder], { encoding: 'utf8' }).split(' ')
  return { uid: Number(uid), gid: Number(gid) }
}
