/**
 * Runs the specs: `npm test`, or `npm test -- store/kv` for the files whose path holds a word.
 * A full run checks format, types, lint and dead code first. One PostgreSQL server serves the
 * whole run. Fails when a file, or everything, ran no test.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../bin/demo/postgres.ts'
import { copyCluster } from './support/cluster.ts'

const root = dirname(import.meta.dirname)

/** Two files at once: the machines this is made for have two cores, and specs measure time. */
const concurrency = 2
/** Most files take seconds; one that takes this long hangs. */
const fileTimeoutMs = 120_000
const soakTimeoutMs = 45 * 60_000
/** Specs open their own pools, several files at once. */
const serverConnectionsMax = 200

const checks: readonly (readonly [name: string, tool: string, ...rest: string[]])[] = [
  ['format', 'oxfmt', '--check'],
  ['types', 'tsc'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['dead code', 'knip'],
]

const usage = `usage: npm test [-- WORD...]     specs whose path holds one of the words, or everything
       npm run soak [-- WORD...] long runs (*.soak.ts), one after the other
`

async function main(): Promise<number> {
  const asked = readArguments()
  if (typeof asked === 'string') {
    process.stderr.write(`${asked}\n${usage}`)
    return 2
  }
  if (asked.help) {
    process.stdout.write(usage)
    return 0
  }
  const wrongNode = await checkNode()
  if (wrongNode !== undefined) {
    process.stderr.write(`${wrongNode}\n`)
    return 1
  }
  const files = await listFiles(asked.soak ? 'soak' : 'spec', asked.words)
  if (files.length === 0) {
    process.stderr.write(
      asked.words.length > 0
        ? `No ${asked.soak ? 'soak' : 'spec'} file's path holds ${asked.words.join(' or ')}.\n`
        : 'There is nothing to run.\n',
    )
    return 1
  }
  if (!asked.soak && asked.words.length === 0 && !(await runChecks())) return 1
  const server = await provideServer()
  try {
    return (await runFiles(files, asked.soak)) ? 0 : 1
  } finally {
    await server.stop()
  }
}

function readArguments(): { soak: boolean; help: boolean; words: string[] } | string {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        soak: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return { ...values, words: positionals }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Specs prove something about the runtime that is shipped, so they run on that one alone. */
async function checkNode(): Promise<string | undefined> {
  const manifest: { optionalDependencies?: Record<string, string> } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  )
  const pinned = manifest.optionalDependencies?.[`node-linux-${process.arch}`]
  if (process.version === `v${pinned}`) return undefined
  return `The specs run on Node ${pinned}, and this is ${process.version}: use "npm test".`
}

async function listFiles(kind: 'spec' | 'soak', words: readonly string[]): Promise<string[]> {
  const files = await readdir('spec', { recursive: true })
  return files
    .filter((file) => file.endsWith(`.${kind}.ts`))
    .map((file) => join('spec', file))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .toSorted()
}

/** Each check in its own process, one line each; the first that fails shows its output and ends it. */
async function runChecks(): Promise<boolean> {
  for (const [name, tool, ...rest] of checks) {
    const started = performance.now()
    const { code, output } = await runTool(tool, rest)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(`${code === 0 ? '✔' : '✖'} ${name} (${tool}) ${seconds} s\n`)
    if (code !== 0) {
      process.stdout.write(output)
      return false
    }
  }
  return true
}

function runTool(tool: string, rest: string[]): Promise<{ code: number; output: string }> {
  const program = join(root, 'node_modules', '.bin', tool)
  if (!existsSync(program)) {
    return Promise.resolve({ code: 1, output: `${program} is missing: run "npm ci".\n` })
  }
  return new Promise((resolve) => {
    const child = spawn(program, rest, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    child.on('error', (error) => resolve({ code: 1, output: `${error.message}\n` }))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

/**
 * Sets GATEWAY_TEST_POSTGRES_URL for the files, unless it reaches a server already, and
 * GATEWAY_TEST_POSTGRES_CLUSTER, an empty cluster for those that start their own.
 */
async function provideServer(): Promise<{ stop(): Promise<void> }> {
  const given = process.env['GATEWAY_TEST_POSTGRES_URL']
  if (given !== undefined && given !== '') {
    const problem = await tryConnect(given)
    if (problem === undefined) return { stop: async () => {} }
    process.stdout.write(
      `GATEWAY_TEST_POSTGRES_URL reaches no server (${problem}); using an embedded one.\n`,
    )
  }
  const folder = await mkdtemp(join(tmpdir(), 'apps-gateway-spec-'))
  // As root the server runs under another account, which must get in.
  await chmod(folder, 0o755)
  const cluster = join(folder, 'cluster')
  await (await startPostgres({ dataDir: cluster, fsync: false })).stop()
  process.env['GATEWAY_TEST_POSTGRES_CLUSTER'] = cluster
  const server = await startPostgres({
    dataDir: await copyCluster(cluster, join(folder, 'shared')),
    fsync: false,
    settings: { max_connections: String(serverConnectionsMax) },
  })
  process.env['GATEWAY_TEST_POSTGRES_URL'] = server.url
  const stop = async (): Promise<void> => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      // Signals end the run: 128 + 2 tells the shell so.
      void stop().finally(() => process.exit(130))
    })
  }
  return { stop }
}

async function tryConnect(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3000 })
  try {
    await client.connect()
    await client.end()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function runFiles(files: string[], soak: boolean): Promise<boolean> {
  const tests = run({
    files,
    cwd: process.cwd(),
    concurrency: soak ? 1 : concurrency,
    timeout: soak ? soakTimeoutMs : fileTimeoutMs,
  })
  const verdict = { succeeded: false, ran: 0, empty: new Set<string>() }
  // In front of Node's own reporter, so that failures and closing lines look as everywhere.
  await pipeline(
    tests,
    (events) => shorten(events, verdict),
    spec(),
    async (output) => {
      for await (const text of Readable.from(output)) process.stdout.write(String(text))
    },
  )
  for (const file of verdict.empty) process.stdout.write(`✖ ${file} holds no test\n`)
  if (verdict.ran === 0) process.stdout.write('✖ no test ran\n')
  return verdict.succeeded && verdict.empty.size === 0 && verdict.ran > 0
}

/** One line for a file that passed; of its tests only those that failed or were skipped. */
async function* shorten(
  events: AsyncIterable<TestEvent>,
  verdict: { succeeded: boolean; ran: number; empty: Set<string> },
): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (event.type === 'test:pass') {
      const { name, skip, todo, file } = event.data
      if (name === file || name === relative(process.cwd(), file ?? '')) {
        verdict.empty.add(relative(process.cwd(), name))
      } else if (event.data.details.type !== 'suite') {
        verdict.ran += 1
      }
      if (skip !== undefined || todo !== undefined) yield event
    } else if (event.type === 'test:summary') {
      const { file, success, counts, duration_ms: durationMs } = event.data
      if (file === undefined) {
        verdict.succeeded = success
        yield event
      } else {
        const path = relative(process.cwd(), file)
        const seconds = (durationMs / 1000).toFixed(1)
        const line = `${success ? '✔' : '✖'} ${path} ${counts.passed}/${counts.tests} ${seconds} s\n`
        yield { type: 'test:stdout', data: { file, message: line } }
      }
    } else if (event.type !== 'test:start') {
      yield event
    }
  }
}

process.exitCode = await main()
