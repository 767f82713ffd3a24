/**
 * The product under test on its full path: real PostgreSQL, a discovery document, a real
 * `gateway.yaml` with a policy that limits models, audit to a file, a session token signed with
 * the configured secret. `main.ts` makes a site and starts the gateway on it, once or many times.
 */
import { spawn } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startPostgres } from '../bin/demo/postgres.ts'
import { listenOnLoopback } from './loopback.ts'
import { model } from './reply.ts'
import type { Script } from './reply.ts'
import type { Subject } from './rounds.ts'

/** What gateways share: database, identity provider, configuration, token. */
export interface Site {
  start(provider: Script['provider']): Promise<RunningGateway>
  close(): Promise<void>
}

export interface RunningGateway extends Subject {
  readonly pid: number
  /** From spawn to the first accepted connection. */
  readonly listeningSeconds: number
}

export interface SiteOptions {
  readonly upstreamPort: number
  /** What starts it, up to `--config`: for the bundle `bin/gateway`, as everybody starts it. */
  readonly command: readonly [string, ...string[]]
  readonly profileFolder: string | undefined
  /** With `admin`, and a cap in each period that nobody reaches. */
  readonly spends: boolean
}

/** Several times the slowest start seen on two busy cores. */
const startTimeoutMs = 30_000

/** Open streams are gone by the time a gateway is asked to leave; this is for a stuck one. */
const stopTimeoutMs = 10_000

/** A knock costs the starting gateway nothing: there is no socket to wake it yet. */
const knockEveryMs = 2

export async function createSite(options: SiteOptions): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'))
  const dataDir = join(folder, 'postgres')
  mkdirSync(dataDir)
  const postgres = await startPostgres({ dataDir })
  const provider = createServer()
  const providerPort = await listenOnLoopback(provider, 0)
  const issuer = `http://127.0.0.1:${providerPort}`
  provider.on('request', (request, response) => {
    const body = request.url === '/jwks' ? { keys: [] } : discovery(issuer)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  const port = await freePort()
  const secret = randomBytes(32).toString('hex')
  const url = `http://127.0.0.1:${port}`
  const configFor = (provider: Script['provider']): string => {
    const path = join(folder, `${provider}.yaml`)
    const parts = { port, url, issuer, secret, postgresUrl: postgres.url, options, provider }
    writeFileSync(path, gatewayYaml(parts))
    return path
  }
  const configs = { anthropic: configFor('anthropic'), bedrock: configFor('bedrock') }
  const token = mintToken(secret, url)
  let starts = 0
  const start = (provider: Script['provider']): Promise<RunningGateway> =>
    startGateway({
      options,
      config: configs[provider],
      url,
      port,
      token,
      log: join(folder, `gateway-${++starts}.log`),
    })
  const close = async (): Promise<void> => {
    provider.closeAllConnections()
    provider.close()
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  if (options.spends) await addCaps(await start('anthropic'), postgres.url)
  return { start, close }
}

/** The tables are the gateway's to make, so it has run once before. */
async function addCaps(gateway: RunningGateway, postgresUrl: string): Promise<void> {
  await gateway.stop()
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(`INSERT INTO spend_limits (id, scope_type, scope_id, amount, period) VALUES
    ('spl_daily', 'user', 'bench|ada', 10000000000, 'daily'),
    ('spl_weekly', 'rbac_group', 'engineering', 10000000000, 'weekly'),
    ('spl_monthly', 'organization', '', 10000000000, 'monthly')`)
  await client.end()
}

interface Start {
  readonly options: SiteOptions
  readonly config: string
  readonly url: string
  readonly port: number
  readonly token: string
  readonly log: string
}

async function startGateway(start: Start): Promise<RunningGateway> {
  const { options, config, url, port, token, log } = start
  const output = openSync(log, 'w')
  const begunAt = performance.now()
  const { profileFolder } = options
  const [program, ...args] = options.command
  const child = spawn(program, [...args, '--config', config], {
    stdio: ['ignore', output, output],
    env: {
      PATH: process.env['PATH'],
      CLAUDE_GATEWAY_ALLOW_LOOPBACK: '1',
      // The reference queues above 256 upstream requests; the slow streams need 5,000.
      BUN_CONFIG_MAX_HTTP_REQUESTS: '8192',
      ...(profileFolder !== undefined && {
        NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}`,
      }),
    },
  })
  closeSync(output)
  const exited = once(child, 'exit')
  const explain = (what: string): Error =>
    new Error(
      `the gateway ${what}; the end of its log:\n${readFileSync(log, 'utf8').slice(-2_000)}`,
    )
  while (!(await isListening(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw explain('left at once')
    if (performance.now() - begunAt > startTimeoutMs) {
      child.kill('SIGKILL')
      throw explain(`did not listen within ${startTimeoutMs} ms`)
    }
    await sleep(knockEveryMs)
  }
  const listeningSeconds = (performance.now() - begunAt) / 1000
  if (child.pid === undefined) throw explain('has no process')
  return {
    name: 'gateway',
    url,
    token,
    pid: child.pid,
    unpacks: true,
    listeningSeconds,
    audited: countAudit(log),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) throw explain('left by itself')
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
      await exited
      clearTimeout(late)
    },
  }
}

/** Counts inference lines of the growing log; each call reads what is new. */
function countAudit(log: string): () => number {
  let seen = 0
  let lines = 0
  return () => {
    const bytes = readFileSync(log)
    const end = bytes.lastIndexOf(0x0a) + 1
    lines += bytes.toString('latin1', seen, end).split('"evt":"inference"').length - 1
    seen = Math.max(seen, end)
    return lines
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listenOnLoopback(server, 0)
  server.close()
  await once(server, 'close')
  return port
}

/** HS256 as the gateway itself signs (kid: first 16 hexadecimal digits of the secret's SHA-256). */
function mintToken(secret: string, issuer: string): string {
  const kid = createHash('sha256').update(secret).digest('hex').slice(0, 16)
  const now = Math.floor(Date.now() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256', typ: 'JWT', kid })}.${part({
    sub: 'bench|ada',
    email: 'ada@example.com',
    name: 'Ada Bench',
    groups: ['engineering', 'everyone', 'platform'],
    aud: 'claude-gateway',
    iat: now,
    exp: now + 12 * 3600,
    iss: issuer,
  })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function discovery(issuer: string): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  }
}

interface YamlParts {
  readonly port: number
  readonly url: string
  readonly issuer: string
  readonly secret: string
  readonly postgresUrl: string
  readonly options: SiteOptions
  readonly provider: Script['provider']
}

/** Bedrock with static keys: each request is signed, and no credential has to be fetched. */
const upstreamYaml: Readonly<Record<Script['provider'], string>> = {
  anthropic: `auth:
      api_key: sk-bench`,
  bedrock: `region: us-east-1
    auth:
      aws_access_key_id: AKIABENCHBENCHBENCH0
      aws_secret_access_key: bench-secret-access-key`,
}

function gatewayYaml(parts: YamlParts): string {
  return `listen:
  host: 127.0.0.1
  port: ${parts.port}
  public_url: ${parts.url}
oidc:
  issuer: ${parts.issuer}
  client_id: bench
  client_secret: bench-secret
session:
  jwt_secret: ${parts.secret}
  ttl_hours: 12
store:
  postgres_url: ${parts.postgresUrl}
upstreams:
  - provider: ${parts.provider}
    base_url: http://127.0.0.1:${parts.options.upstreamPort}
    ${upstreamYaml[parts.provider]}
managed:
  policies:
    - match:
        groups: [contractors]
      cli:
        availableModels: [haiku]
    - match:
        groups: [engineering]
      cli:
        model: ${model}
        availableModels: [${model}, opus, haiku]
    - cli:
        model: ${model}
        availableModels: [${model}]
${parts.options.spends ? 'admin: {}\n' : ''}`
}
