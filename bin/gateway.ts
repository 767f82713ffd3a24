/**
 * The process: arguments, environment, signals, exit codes. Everything else is `lib/gateway.ts`'s.
 * The only file of the product that touches `process`.
 */
import { createPublicKey } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readEnvironment } from '../lib/config/environment.ts'
import { type ConfigFiles, createConfigFiles } from '../lib/config-files.ts'
import { formatProblems, formatWarnings, loadConfig, type LoadedConfig } from '../lib/config.ts'
import { examine } from '../lib/doctor/doctor.ts'
import { formatFindings } from '../lib/doctor/table.ts'
import { createGateway, type Gateway } from '../lib/gateway.ts'
import { explain, formatExplanation } from '../lib/explain.ts'
import { systemClock } from '../lib/kernel/clock.ts'
import { messageOf } from '../lib/kernel/errors.ts'
import { createFileSink } from '../lib/kernel/line-sink.ts'
import { createLog, type Log } from '../lib/kernel/log.ts'
import { productVersion } from '../lib/kernel/version.ts'
import { type AuditFile, openAuditFile } from '../lib/audit/file.ts'
import type { Owner } from '../lib/audit/lock.ts'
import { describeVerified, excessOf, verifyAuditFiles } from '../lib/audit/verify.ts'
import { describeForgotten, forget } from '../lib/spend/forget.ts'
import { openDatabase } from '../lib/store/database.ts'
import { type Command, defaultConfigPath, parseCommandLine, usage } from './command-line.ts'

/** Of `audit verify`: nothing is broken, but too much is not signed yet. */
const unsignedExitCode = 2

/** An exit waits this long for log lines to leave; a reader that is stuck longer has lost them. */
const lastLinesMs = 1000

type CommandOf<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>

const owner: Owner = {
  pid: process.pid,
  isAlive(pid) {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  },
}

const clock = systemClock
const sink = createFileSink(2, clock)

async function exit(code: number): Promise<never> {
  const closing = trail?.close()
  trail = null
  await closing
  await Promise.race([
    sink.drained(),
    new Promise<void>((resolve) => clock.after(lastLinesMs, resolve)),
  ])
  process.exit(code)
}

async function main(): Promise<void> {
  const command = parseCommandLine(process.argv.slice(2))
  switch (command.kind) {
    case 'help':
      process.stdout.write(usage)
      return
    case 'version':
      process.stdout.write(`${productVersion}\n`)
      return
    case 'mistake':
      process.stderr.write(`${command.message}\n`)
      return exit(1)
    case 'check':
      return check(read(command.config))
    case 'doctor':
      return diagnose(command.config, command.json)
    case 'explain':
      return explainTo(command)
    case 'forget':
      return erase(command)
    case 'verify-audit':
      return verifyAudit(command)
    case 'serve':
      return serve(command.config)
  }
}

/** The file to read, or null with the reason on standard error. */
function locate(given: string | undefined): string | null {
  if (given !== undefined || existsSync(defaultConfigPath)) return given ?? defaultConfigPath
  process.stderr.write(
    `error: no --config given, and there is no ./${defaultConfigPath}\nRun 'gateway --help' for usage.\n`,
  )
  return null
}

/** The configuration, or null with the reason on standard error. */
function read(given: string | undefined): { loaded: LoadedConfig; files: ConfigFiles } | null {
  const path = locate(given)
  if (path === null) return null
  const files = createConfigFiles(path, process.env)
  const loaded = files.load(clock.now())
  if (loaded.kind === 'ok') return { loaded, files }
  const count = loaded.problems.length
  process.stderr.write(
    `apps gateway: ${path} has ${count} ${count === 1 ? 'mistake' : 'mistakes'}\n${formatProblems(loaded.problems)}\n`,
  )
  return null
}

function check(source: ReturnType<typeof read>): Promise<never> {
  if (source === null) return exit(1)
  process.stderr.write(formatWarnings(source.loaded.warnings))
  process.stdout.write(`${source.files.path} is valid\n`)
  return exit(0)
}

async function diagnose(given: string | undefined, asJson: boolean): Promise<never> {
  const path = locate(given)
  if (path === null) return exit(1)
  const { settings, warnings } = readEnvironment(process.env)
  const loaded = loadConfig({ path, environment: process.env, now: clock.now() })
  const findings = await examine({ loaded, settings, warnings, clock })
  process.stdout.write(
    asJson ? `${JSON.stringify({ findings }, null, 2)}\n` : formatFindings(findings),
  )
  return exit(findings.some(({ result }) => result === 'fail') ? 1 : 0)
}

async function explainTo(command: CommandOf<'explain'>): Promise<never> {
  const source = read(command.config)
  if (source?.loaded.kind !== 'ok') return exit(1)
  const explanation = await explain(source.loaded.config, command)
  process.stdout.write(
    command.json ? `${JSON.stringify(explanation, null, 2)}\n` : formatExplanation(explanation),
  )
  return exit(0)
}

async function verifyAudit(command: CommandOf<'verify-audit'>): Promise<never> {
  const { files, publicKey, maxUnsigned } = command
  try {
    const key = publicKey === undefined ? null : createPublicKey(readFileSync(publicKey))
    const all = await verifyAuditFiles(files, key)
    for (const verified of all) process.stdout.write(describeVerified(verified, key !== null))
    if (all.some(({ problem }) => problem !== null)) return await exit(1)
    const last = all.at(-1)
    if (last === undefined || maxUnsigned === undefined) return await exit(0)
    const excess = excessOf(last, maxUnsigned, clock.now())
    if (excess !== null) process.stderr.write(`apps gateway: ${last.path}: ${excess}\n`)
    return await exit(excess === null ? 0 : unsignedExitCode)
  } catch (error) {
    process.stderr.write(`apps gateway: ${describe(error).split('\n')[0]}\n`)
    return exit(1)
  }
}

async function erase({ config, principal }: CommandOf<'forget'>): Promise<never> {
  const source = read(config)
  if (source?.loaded.kind !== 'ok') return exit(1)
  const { settings } = readEnvironment(process.env)
  const { log } = createLog('warn', sink.line, clock)
  const { store } = source.loaded.config
  const database = openDatabase(store, { clock, log, hasExtraCa: settings.hasExtraCa })
  try {
    process.stdout.write(describeForgotten(principal, await forget(principal, database.store)))
    return await exit(0)
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error
    process.stderr.write(`apps gateway: nothing was removed: ${describe(cause)}\n`)
    return exit(1)
  }
}

async function serve(given: string | undefined): Promise<void> {
  const { settings, warnings } = readEnvironment(process.env)
  const { log, audit } = createLog(settings.logLevel, sink.line, clock, (line) =>
    trail?.add(line.trimEnd()),
  )
  for (const warning of warnings) log.warn(warning)
  const source = read(given)
  if (source?.loaded.kind !== 'ok') return exit(1)
  const { loaded, files } = source
  const { audit: auditFile } = loaded.config.extensions
  try {
    if (auditFile !== undefined) trail = await openAuditFile(auditFile, { clock, log, owner })
  } catch (error) {
    log.error(`apps gateway: ${messageOf(error)}`)
    return exit(1)
  }
  audit('config.load', { path: files.path, sha256: loaded.sha256 })
  const boot = new AbortController()
  stopOnSignals(boot, log)
  reloadOnSignal(log)
  guardAgainstBugs(log)
  try {
    const gateway = await createGateway({
      loaded,
      files,
      settings,
      clock,
      log,
      audit,
      signal: boot.signal,
      facts: {
        process: {
          memory: () => process.memoryUsage(),
          cpu: () => {
            const { user, system } = process.cpuUsage()
            return (user + system) / 1e6
          },
          nodeVersion: process.version,
        },
        linesLost: () => sink.lost,
        auditFile: trail === null ? null : () => trail?.stats() ?? { failures: 0, waitingBytes: 0 },
      },
    })
    running = gateway
    await gateway.listen()
  } catch (error) {
    if (boot.signal.aborted) return exit(0)
    log.error(`apps gateway: ${messageOf(error)}`)
    return exit(1)
  }
}

let running: Gateway | null = null
/** `extensions.audit`; every way out gives it back. */
let trail: AuditFile | null = null
let stopping = false

/** Service managers send it when files have changed; unanswered it would end the process. */
function reloadOnSignal(log: Log): void {
  process.on('SIGHUP', () => {
    if (running === null || stopping) log.info('SIGHUP: nothing to reload now')
    else void running.reload('SIGHUP') // it never rejects
  })
}

/** The first signal drains, the second cuts; before the gateway runs, either ends the boot. */
function stopOnSignals(boot: AbortController, log: Log): void {
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (running === null) {
        log.info(`${name} during boot: stopping`)
        boot.abort()
        return
      }
      if (stopping) {
        const cut = running.cut()
        log.warn(`second signal (${name}): cut ${cut} request(s) still open`)
        void exit(0) // exit() itself cannot fail
        return
      }
      stopping = true
      void stop(running, name, 0) // stop() handles its own failure
    })
  }
}

async function stop(gateway: Gateway, reason: string, code: number): Promise<void> {
  try {
    await gateway.drain(reason)
  } finally {
    await exit(code)
  }
}

/**
 * A bug must not end open streams without a word. A rejection nobody waited for leaves the rest
 * intact; after an exception thrown into the event loop nothing is certain, so it drains and ends.
 */
function guardAgainstBugs(log: Log): void {
  process.on('unhandledRejection', (reason) =>
    log.error(`unhandled rejection: ${describe(reason)}`),
  )
  process.on('uncaughtException', (error) => {
    log.error(`uncaught exception: ${describe(error)}`)
    if (running === null || stopping) {
      void exit(1) // exit() itself cannot fail
      return
    }
    stopping = true
    void stop(running, 'uncaught exception', 1) // stop() handles its own failure
  })
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

// Timers of the gateway never keep a process alive; between two tries of a boot nothing else does.
const alive = setInterval(() => {}, 2 ** 30)
await main()
clearInterval(alive)
