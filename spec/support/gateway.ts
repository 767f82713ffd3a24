/**
 * The real gateway as a process of its own, started from source with a generated configuration:
 * what journeys talk to. Its standard error is kept line by line.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { sessionSecret } from './session-token.ts'

const root = dirname(dirname(import.meta.dirname))

export interface GatewayOptions {
  /** Merged over the generated file, top-level key by top-level key; null removes one. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string>>
  /** Instead of `--config FILE`. */
  readonly args?: readonly string[]
  readonly postgresUrl: string
  readonly issuer: string
  /** Base URL of the one upstream, unless `config.upstreams` says otherwise. */
  readonly upstream?: string
}

export interface GatewayProcess {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Lines of standard error so far. */
  readonly lines: readonly string[]
  /** Audit lines so far, of one event. */
  audits(event: string): Record<string, unknown>[]
  /** Resolves with the first line that matches, already written or still to come. */
  line(pattern: RegExp): Promise<string>
  /** Resolves with the first audit line of `event` for which `accepts` holds. */
  audit(
    event: string,
    accepts?: (line: Record<string, unknown>) => boolean,
  ): Promise<Record<string, unknown>>
  kill(signal: NodeJS.Signals): void
  /** Writes the file anew with these keys over those it was started with. */
  reconfigure(config: Readonly<Record<string, unknown>>): void
  /** The file itself. */
  readonly configPath: string
  /** The exit code, or the signal's name. */
  readonly exited: Promise<number | string>
}

export interface Scope {
  after(action: () => Promise<void> | void): void
}

/** Longest wait for a line; generous, because specs run beside each other on two cores. */
const lineWaitMs = 20_000

/** Starts the gateway and waits until it listens. */
export async function startGateway(scope: Scope, options: GatewayOptions): Promise<GatewayProcess> {
  const gateway = await spawnGateway(scope, options)
  const died = gateway.exited.then((code) => {
    throw new Error(`the gateway ended with ${code}:\n${gateway.lines.join('\n')}`)
  })
  died.catch(() => {}) // raced below; later ends are the spec's business
  await Promise.race([gateway.line(/listening on http/), died])
  return gateway
}

/** Starts the gateway without waiting: for specs about boot. */
export async function spawnGateway(scope: Scope, options: GatewayOptions): Promise<GatewayProcess> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const folder = mkdtempSync(join(tmpdir(), 'gateway-spec-'))
  const path = join(folder, 'gateway.yaml')
  writeFileSync(path, JSON.stringify(configuration(options, port, url)))
  const child = spawn(
    process.execPath,
    [join(root, 'bin/gateway.ts'), ...(options.args ?? ['--config', path])],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1',
        CLAUDE_GATEWAY_LOG_LEVEL: 'debug',
        ...options.environment,
      },
    },
  )
  const exited = new Promise<number | string>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  scope.after(async () => {
    child.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
  })
  assert.ok(child.pid !== undefined)
  return {
    url,
    port,
    pid: child.pid,
    exited,
    kill: (signal) => child.kill(signal),
    configPath: path,
    reconfigure(config) {
      const changed = { ...options, config: { ...options.config, ...config } }
      writeFileSync(path, JSON.stringify(configuration(changed, port, url)))
    },
    ...watch(child),
  }
}

function configuration(options: GatewayOptions, port: number, url: string): object {
  const merged: Record<string, unknown> = {
    listen: { host: '127.0.0.1', port, public_url: url },
    oidc: { issuer: options.issuer, client_id: 'gateway', client_secret: 'gateway-secret' },
    session: { jwt_secret: sessionSecret },
    store: { postgres_url: options.postgresUrl },
    upstreams: [
      { provider: 'anthropic', base_url: options.upstream, auth: { api_key: 'sk-upstream-1' } },
    ],
    ...options.config,
  }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
}

function watch(child: ChildProcess): Pick<GatewayProcess, 'lines' | 'audits' | 'line' | 'audit'> {
  const lines: string[] = []
  const waiting = new Set<() => void>()
  let rest = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const look of waiting) look()
  })
  let isOver = false
  child.on('close', () => {
    isOver = true
    for (const look of waiting) look()
  })
  const find = <T>(what: string, pick: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pick()
        if (found !== undefined) resolve(found)
        else if (isOver) fail('before its end')
        else return
        waiting.delete(look)
        clearTimeout(timer)
      }
      const fail = (when: string): void =>
        reject(new Error(`no ${what} ${when}:\n${lines.slice(-40).join('\n')}`))
      const timer = setTimeout(() => {
        waiting.delete(look)
        fail(`within ${lineWaitMs} ms`)
      }, lineWaitMs)
      waiting.add(look)
      look()
    })
  const audits = (event: string): Record<string, unknown>[] =>
    lines
      .filter((line) => line.startsWith('{') && line.includes(`"evt":"${event}"`))
      .map((line) => JSON.parse(line))
  return {
    lines,
    audits,
    line: (pattern) => find(`line like ${pattern}`, () => lines.find((line) => pattern.test(line))),
    audit: (event, accepts = () => true) =>
      find(`audit ${event}`, () => audits(event).find(accepts)),
  }
}

/** A port nobody listens on just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('no port'))
      })
    })
  })
}
