/**
 * `npm run bench`: measures the built gateway against a plain pipe on this machine and prints the
 * figures the project has goals for. Everything listens on 127.0.0.1 and is bounded in count and
 * time. Ends with 1 when a round is void or a goal is missed, so that a script can call it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'
import { measureBoot } from './boot.ts'
import { startChild } from './child.ts'
import { createSite } from './gateway.ts'
import type { Site } from './gateway.ts'
import { parseOptions, usage } from './options.ts'
import type { Options } from './options.ts'
import { compare, renderMedians, renderTable } from './report.ts'
import type { Figure, Result } from './report.ts'
import type { Script } from './reply.ts'
import { runRound } from './rounds.ts'
import type { Harness, Round, Subject } from './rounds.ts'
import { bootScenario, scenarios, shorten, warmUp, withSpendGoals } from './scenarios.ts'
import type { Scenario } from './scenarios.ts'

const root = dirname(import.meta.dirname)
const children = join(root, '.tmp', 'bench')

/** Starts one process under test; called anew for scenarios that measure memory. */
type Starter = (provider: Script['provider']) => Promise<Subject>

async function main(options: Options): Promise<boolean> {
  await compileChildren()
  if (options.subject === 'bundle') buildWhenStale()
  const upstream = await startChild(join(children, 'upstream.js'), [String(options.upstreamPort)])
  const client = await startChild(join(children, 'client.js'), [])
  const besideClient = await startChild(join(children, 'client.js'), [])
  let site: Site | undefined
  try {
    if (options.subject !== 'floor') {
      const { profileFolder } = options
      site = await createSite({
        upstreamPort: upstream.port,
        command:
          options.subject === 'source'
            ? [process.execPath, join(root, 'bin', 'gateway.ts')]
            : [join(root, 'bin', 'gateway')],
        spends: options.spends,
        profileFolder: profileFolder === undefined ? undefined : resolve(profileFolder),
      })
    }
    const starters = chooseStarters(options, upstream.port, site)
    const results = await runScenarios(options, { upstream, client, besideClient }, starters)
    const wantsBoot = site !== undefined && options.scenarios.includes(bootScenario.name)
    const boot = wantsBoot && site !== undefined ? await measureBoot(site, options.rounds) : []
    print(results, boot)
    save(options, results, boot)
    const figures = [...results.flatMap((result) => result.figures), ...boot]
    return figures.every((figure) => figure.verdict !== 'missed')
  } finally {
    await Promise.all([client.stop(), besideClient.stop(), upstream.stop(), site?.close()])
  }
}

/** The floor first; its figures are the ones the others are divided by. */
function chooseStarters(options: Options, upstreamPort: number, site: Site | undefined): Starter[] {
  const startFloor = async (name: string): Promise<Subject> => {
    const child = await startChild(join(children, 'floor.js'), [String(upstreamPort)])
    const url = `http://127.0.0.1:${child.port}`
    return {
      name,
      url,
      token: 'none',
      pid: child.pid,
      unpacks: false,
      stop: () => child.stop(),
    }
  }
  const starters: Starter[] = [() => startFloor('floor')]
  if (site === undefined) starters.push(() => startFloor('second floor'))
  else starters.push((provider) => site.start(provider))
  const { against } = options
  if (against !== undefined) {
    const stop = (): Promise<void> => Promise.resolve()
    const { url, token, pid } = against
    starters.push(() => Promise.resolve({ name: 'against', url, token, pid, unpacks: true, stop }))
  }
  return starters
}

async function runScenarios(
  options: Options,
  harness: Harness,
  starters: readonly Starter[],
): Promise<Result[]> {
  const results: Result[] = []
  for (const full of scenarios) {
    if (!options.scenarios.includes(full.name)) continue
    const wanted = options.spends ? withSpendGoals(full) : full
    const scenario = options.isQuick ? shorten(wanted) : wanted
    process.stderr.write(`${scenario.name}: ${scenario.about} `)
    const series = scenario.measuresMemory
      ? await measureFresh(scenario, harness, starters, options.rounds)
      : await measureWarm(scenario, harness, starters, options.rounds)
    process.stderr.write('\n')
    const [floor, ...others] = series
    for (const other of others) {
      results.push(compare(scenario, other.name, other.rounds, floor?.rounds ?? []))
    }
  }
  return results
}

interface Series {
  readonly name: string
  readonly rounds: Round[]
}

/** One process per subject for all rounds, after a round that warms it and is not counted. */
async function measureWarm(
  scenario: Scenario,
  harness: Harness,
  starters: readonly Starter[],
  rounds: number,
): Promise<Series[]> {
  const subjects: Subject[] = []
  try {
    for (const start of starters) subjects.push(await start(scenario.script.provider))
    const series = subjects.map(({ name }) => ({ name, rounds: new Array<Round>() }))
    for (let round = -1; round < rounds; round++) {
      // Every other round runs backwards: whoever comes second meets a machine that is warmer.
      const order = subjects.map((_, i) => (round % 2 === 0 ? i : subjects.length - 1 - i))
      for (const i of order) {
        const subject = subjects[i]
        if (subject === undefined) continue
        const measured = await runRound(harness, subject, scenario)
        if (round >= 0) series[i]?.rounds.push(measured)
      }
      process.stderr.write('.')
    }
    return series
  } finally {
    for (const subject of subjects) await subject.stop()
  }
}

/**
 * A new process per round: memory that an earlier round left behind would hide what streams cost.
 * A few requests warm it, too few to leave room for thousands of streams.
 */
async function measureFresh(
  scenario: Scenario,
  harness: Harness,
  starters: readonly Starter[],
  rounds: number,
): Promise<Series[]> {
  const series = starters.map(() => ({ name: '', rounds: new Array<Round>() }))
  for (let round = 0; round < rounds; round++) {
    for (const [i, start] of starters.entries()) {
      const subject = await start(scenario.script.provider)
      try {
        await runRound(harness, subject, warmUp)
        const measured = await runRound(harness, subject, scenario)
        const own = series[i]
        if (own !== undefined) {
          own.name = subject.name
          own.rounds.push(measured)
        }
      } finally {
        await subject.stop()
      }
    }
    process.stderr.write('.')
  }
  return series
}

/** The children run as plain JavaScript, so that no loader's memory or time is measured. */
async function compileChildren(): Promise<void> {
  await build({
    entryPoints: ['floor', 'upstream', 'client'].map((name) => join(root, 'bench', `${name}.ts`)),
    outdir: children,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'warning',
  })
  writeFileSync(join(children, 'package.json'), '{"type":"module"}\n')
}

function buildWhenStale(): void {
  const bundle = join(root, 'dist', 'gateway.mjs')
  const sources = ['lib', 'bin', 'build.mjs', 'package-lock.json'].map((name) => join(root, name))
  if (existsSync(bundle) && statSync(bundle).mtimeMs > Math.max(...sources.map(newest))) return
  execFileSync(process.execPath, [join(root, 'build.mjs')], { stdio: 'inherit' })
}

function newest(path: string): number {
  const stats = statSync(path)
  if (!stats.isDirectory()) return stats.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function print(results: readonly Result[], boot: readonly Figure[]): void {
  process.stdout.write(`\n${renderTable(results, boot)}\n\n${renderMedians(results)}\n`)
}

function save(options: Options, results: readonly Result[], boot: readonly Figure[]): void {
  const at = new Date().toISOString()
  const path = resolve(
    options.out ?? join(root, 'bench', 'results', `${at.replace(/[:.]/g, '-')}.json`),
  )
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify({ at, machine: describeMachine(), options, results, boot }))
  process.stdout.write(`\nRounds and machine: ${path}\n`)
}

function describeMachine(): object {
  const processors = cpus()
  return {
    node: process.version,
    kernel: release(),
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memoryMegabytes:
      Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) >> 10,
    loadAverage: loadavg(),
  }
}

try {
  const options = parseOptions(process.argv.slice(2))
  process.exitCode = (await main(options)) ? 0 : 1
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`\n${message}\n${message.includes('option') ? `\n${usage}\n` : ''}`)
  process.exitCode = 1
}
