/**
 * The proxies of `deploy/nginx` and `deploy/haproxy` as real processes on loopback: the example
 * files as they stand, with only addresses, ports and paths put in place.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface Scope {
  after(action: () => Promise<void> | void): void
}

export interface ProxySettings {
  /** Where it listens with TLS. */
  readonly port: number
  /** Ports of the two gateways. */
  readonly gateways: readonly [number, number]
  readonly cert: string
  readonly key: string
}

export interface Prepared {
  /** That make it serve in the foreground. */
  readonly args: readonly string[]
}

const deploy = join(import.meta.dirname, '..', '..', 'deploy')

/** Replaces what must be there. */
function put(text: string, from: string | RegExp, to: string): string {
  const changed = text.replaceAll(from, to)
  assert.notEqual(changed, text, `the example has no ${String(from)}`)
  return changed
}

function makeFolder(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'proxy-spec-'))
  scope.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function prepareNginx(scope: Scope, { port, gateways, cert, key }: ProxySettings): Prepared {
  const folder = makeFolder(scope)
  writeFileSync(join(folder, 'gateway.crt'), cert)
  writeFileSync(join(folder, 'gateway.key'), key)
  mkdirSync(join(folder, 'temp'))
  let site = readFileSync(join(deploy, 'nginx', 'gateway.conf'), 'utf8')
  site = put(site, 'listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
  site = put(site, '10.0.1.11:8080', `127.0.0.1:${gateways[0]}`)
  site = put(site, '10.0.1.12:8080', `127.0.0.1:${gateways[1]}`)
  site = put(site, '/etc/nginx/tls/', `${folder}/`)
  writeFileSync(join(folder, 'gateway.conf'), site)
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/temp/${name};`,
  )
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
     events { worker_connections 1024; }
     http { access_log off; ${temp.join(' ')} include ${folder}/gateway.conf; }`,
  )
  return { args: ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')] }
}

export function prepareHaproxy(
  scope: Scope,
  { port, gateways, cert, key }: ProxySettings,
): Prepared {
  const folder = makeFolder(scope)
  writeFileSync(join(folder, 'gateway.pem'), key + cert)
  let text = readFileSync(join(deploy, 'haproxy', 'haproxy.cfg'), 'utf8')
  text = put(text, 'bind :443', `bind 127.0.0.1:${port}`)
  text = put(text, '10.0.1.11:8080', `127.0.0.1:${gateways[0]}`)
  text = put(text, '10.0.1.12:8080', `127.0.0.1:${gateways[1]}`)
  text = put(text, '/etc/haproxy/tls/', `${folder}/`)
  // A file limit below this would be refused; the example is for a machine of its own.
  text = put(text, 'maxconn 20000', 'maxconn 500')
  writeFileSync(join(folder, 'haproxy.cfg'), text)
  return { args: ['-db', '-f', join(folder, 'haproxy.cfg')] }
}

/** Starts it and waits until its port takes connections. */
export async function startProxy(
  scope: Scope,
  program: 'nginx' | 'haproxy',
  settings: ProxySettings,
): Promise<void> {
  const prepare = program === 'nginx' ? prepareNginx : prepareHaproxy
  const child = spawn(program, prepare(scope, settings).args, { stdio: 'pipe' })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  scope.after(async () => {
    // nginx takes SIGQUIT for "finish"; both take this for "now".
    child.kill('SIGTERM')
    await exited
  })
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break
    if (await takesConnections(settings.port)) return
    await delay(50)
  }
  throw new Error(`${program} does not listen: ${said}`)
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
