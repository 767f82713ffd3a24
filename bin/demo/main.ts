/**
 * `npm run demo`: the whole product on this machine. Starts a real PostgreSQL, a local OpenID
 * provider with sample people and the gateway, proves that a person can sign in and get a
 * streamed answer, says what to try next, and serves until Ctrl-C. `--once` ends after the proof.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { demoConfiguration } from './configuration.ts'
import { samplePeople, startIdentityProvider } from './identity-provider.ts'
import { startPostgres } from './postgres.ts'
import { ask, signIn, waitFor } from './proof.ts'

const root = dirname(dirname(import.meta.dirname))
const folder = join(root, '.demo')
const configPath = join(folder, 'gateway.yaml')
const logPath = join(folder, 'gateway.log')
const tokenPath = join(folder, 'token')

/** Tried first, so that the address stays the same from start to start. */
const preferredPort = 8484
/** The first boot creates the tables; on a busy machine that takes some seconds. */
const bootPatienceMs = 60_000

const say = (text = ''): void => void process.stdout.write(`${text}\n`)
const stops: (() => Promise<unknown>)[] = []

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { once: { type: 'boolean' } } })
  // From the start: what is half started ends in order, too, once it is there.
  const asked = new Promise<null>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(null))
  })
  mkdirSync(folder, { recursive: true })
  const startedAt = performance.now()
  const { gateway, url } = await startEverything()
  say(`  ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  const { token, person } = await prove(url)
  say()
  if (values.once === true) {
    say('Proof done (--once).')
    return
  }
  writeFileSync(tokenPath, token, { mode: 0o600 })
  explain(url, person)
  const ended = await Promise.race([
    asked,
    new Promise<number>((resolve) => gateway.once('exit', (code) => resolve(code ?? 1))),
  ])
  if (ended !== null) throw new Error(`the gateway ended with code ${ended}; see ${logPath}`)
  say('\nStopping …')
}

async function startEverything(): Promise<{ gateway: ChildProcess; url: string }> {
  say('Apps Gateway demo')
  say('  starting PostgreSQL …')
  const postgres = await startPostgres({
    dataDir: join(folder, 'postgres'),
    log: (line) => say(`    ${line}`),
  })
  stops.push(() => postgres.stop())
  say('  starting a local OpenID provider …')
  const clientSecret = randomBytes(24).toString('hex')
  const provider = await startIdentityProvider({
    port: 0,
    client_id: 'demo-gateway',
    client_secret: clientSecret,
  })
  stops.push(() => provider.close())
  say('  starting the gateway …')
  const port = await choosePort()
  writeConfiguration()
  const gateway = startGateway({
    DEMO_PORT: String(port),
    DEMO_ISSUER: provider.issuer,
    DEMO_CLIENT_SECRET: clientSecret,
    DEMO_JWT_SECRET: keptSecret(),
    DEMO_POSTGRES_URL: postgres.url,
    // Loopback addresses are refused otherwise: outside of a demo they are a mistake or an attack.
    CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1',
  })
  const url = `http://localhost:${port}`
  const died = new Promise<never>((_, reject) => {
    gateway.once('exit', (code) =>
      reject(new Error(lastLines(`the gateway ended with code ${code}`))),
    )
  })
  await Promise.race([waitFor(`${url}/readyz`, bootPatienceMs), died])
  died.catch(() => {}) // from here on main() watches for the end
  return { gateway, url }
}

function writeConfiguration(): void {
  if (existsSync(configPath)) return
  const upstream = process.env['ANTHROPIC_API_KEY'] ? 'anthropic' : 'canned'
  writeFileSync(configPath, demoConfiguration(upstream))
}

/** Sessions survive a restart of the demo. */
function keptSecret(): string {
  const path = join(folder, 'jwt-secret')
  if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('hex'), { mode: 0o600 })
  return readFileSync(path, 'utf8')
}

function startGateway(environment: Record<string, string>): ChildProcess {
  const log = openSync(logPath, 'w')
  const child = spawn(process.execPath, [join(root, 'bin/gateway.ts'), '--config', configPath], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', log, log],
    // Its own group: Ctrl-C reaches this process, which then lets the gateway drain.
    detached: true,
  })
  closeSync(log)
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('exit', resolve))
  })
  return child
}

function choosePort(): Promise<number> {
  const tryPort = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const probe = createServer()
      probe.once('error', reject)
      probe.listen(port, '127.0.0.1', () => {
        const address = probe.address()
        probe.close(() =>
          resolve(address !== null && typeof address === 'object' ? address.port : port),
        )
      })
    })
  return tryPort(preferredPort).catch(() => tryPort(0))
}

async function prove(url: string): Promise<{ token: string; person: string }> {
  const [person] = samplePeople
  if (person === undefined) throw new Error('there is no sample person')
  say()
  say(`Proof: ${person.name} signs in through the device flow …`)
  const session = await signIn(url, person.id)
  say(`  signed in as ${session.email ?? person.id}, session for ${session.expires_in / 3600} h`)
  say('  and asks for one streamed answer:')
  process.stdout.write('  > ')
  await ask(
    url,
    session.access_token,
    'claude-haiku-4-5',
    'Say hello in one short sentence.',
    (text) => process.stdout.write(text),
  )
  say()
  return { token: session.access_token, person: person.name }
}

function explain(url: string, person: string): void {
  const shown = (path: string): string => relative(process.cwd(), path) || path
  say(`The gateway serves at ${url} until Ctrl-C.

What a developer puts into Claude Code's managed settings (or chooses "Cloud gateway" at /login):
  { "forceLoginMethod": "gateway", "forceLoginGatewayUrl": "${url}" }

Files
  ${shown(configPath)}   the configuration, commented; yours to change
  ${shown(logPath)}    what the gateway logs, audit lines included

Try next
  Sign in yourself: open the link that this prints, and be one of ${samplePeople.map(({ name }) => name).join(', ')}
    curl -s -X POST ${url}/oauth/device_authorization
  Ask as ${person}
    curl -sN ${url}/v1/messages -H "Authorization: Bearer $(cat ${shown(tokenPath)})" \\
      -d '{"model":"claude-haiku-4-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
  See how a mistake in the configuration is reported
    ${shown(join(root, 'bin/gateway'))} check --config ${shown(configPath)}   (after npm run build)
  Watch the audit
    tail -f ${shown(logPath)}
`)
}

function lastLines(reason: string): string {
  const log = existsSync(logPath) ? readFileSync(logPath, 'utf8').trimEnd() : ''
  return `${reason}; the end of ${logPath}:\n${log.split('\n').slice(-15).join('\n')}`
}

let code = 0
try {
  await main()
} catch (error) {
  process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`)
  code = 1
} finally {
  for (const stop of stops.toReversed()) await stop().catch(() => (code = 1))
}
process.exit(code)
