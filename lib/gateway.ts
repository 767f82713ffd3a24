/**
 * The composition root: makes every part from a checked configuration, wires them, and gives the
 * whole its life. No logic of its own beyond the order of boot: identity provider before
 * database, database before listener, so that a mistake never leaves half a deployment behind.
 */
import { readFileSync } from 'node:fs'
import { refuseMixedLoadTest, refuseUnsupported, warnOfMetadata } from './boot-checks.ts'
import { describeBoot } from './boot-lines.ts'
import { keepCertificates } from './certificates.ts'
import type { Config, LoadedConfig } from './config.ts'
import type { EnvironmentSettings } from './config/environment.ts'
import type { Egress } from './egress/egress.ts'
import { createEgresses } from './egress/purpose.ts'
import { createHandlers } from './handlers.ts'
import { createAccessControl, createPublicClientNotice } from './http/access-control.ts'
import { createClientAddressReader } from './http/client-address.ts'
import { createEdge } from './http/edge.ts'
import type { Readiness } from './http/health.ts'
import { createLimitCheck } from './http/limits.ts'
import { createRouter } from './http/router.ts'
import type { Certificate } from './http/node-server.ts'
import { createServer, type GatewayServer } from './http/server.ts'
import { createIdentity, type Identity } from './identity/identity.ts'
import type { Clock } from './kernel/clock.ts'
import type { Audit, Log } from './kernel/log.ts'
import { createRoutes } from './routes.ts'
import { createSpend, type Spend } from './spend/spend.ts'
import { createTelemetryRelay, type TelemetryRelay } from './telemetry/relay.ts'
import { createInputCounter, type InputCounter } from './upstream/count-input.ts'
import { createUpstreams } from './upstream/registry.ts'
import type { Upstream } from './upstream/upstream.ts'
import { type Database, openDatabase } from './store/database.ts'

/** One statement of a database that is there. */
const lastFlushMs = 2000

export interface GatewayParts {
  readonly loaded: Extract<LoadedConfig, { kind: 'ok' }>
  readonly settings: EnvironmentSettings
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  /** Ends the boot early. */
  readonly signal: AbortSignal
}

export interface Gateway {
  /** Binds, then says so; rejects when the port is taken. */
  listen(): Promise<void>
  /** Stops listening, lets open requests finish within the drain window, closes everything. */
  drain(reason: string): Promise<void>
  /** Looks again at what may change while it runs, the certificate's files, and logs it. */
  reload(): Promise<void>
  /** Ends every open request now and returns how many there were. */
  cut(): number
}

/** Rejects with one line for the operator when the configured world is not there. */
export async function createGateway(parts: GatewayParts): Promise<Gateway> {
  const { loaded, settings, clock, log, signal } = parts
  const { config } = loaded
  refuseUnsupported(config, log)
  const certificate = config.listen.tls && readCertificate(config.listen.tls)
  const egresses = createEgresses({ ...settings, clock }, config.oidc)
  const egress = egresses.service
  const database = openDatabase(config.store, {
    clock,
    log,
    hasExtraCa: settings.hasExtraCa,
    countsSpend: config.admin !== undefined,
  })
  const spend = config.admin === undefined ? null : createSpend({ ...parts, ...database })
  const identity = createIdentity(
    { ...config, public_url: config.listen.public_url, tls: config.listen.tls !== undefined },
    {
      ...parts,
      ...database,
      egress: egresses.provider,
      google: { egress: egresses.directory },
      revocation: database,
    },
  )
  await identity.ready()
  await database.start(signal)
  // Before anything speaks up in the background: a refusal is the last line.
  await refuseMixedLoadTest(config, database.store)
  spend?.start()
  database.hints.start()
  await identity.start()
  const reach = { egress: egresses.upstream, cloudEgress: egresses.cloud, stsUrl: settings.stsUrl }
  const upstreams = createUpstreams({ ...reach, clock, log }, config)
  const telemetry = createTelemetryRelay(
    { egress, clock, log },
    config.telemetry,
    config.extensions.telemetry,
  )
  const counter = createInputCounter({ upstreams, clock, log })
  const made = { certificate, egress, identity, upstreams, counter, database, telemetry, spend }
  const server = createListener(config, made, parts)
  const certificates = keepCertificates(config, {
    initial: certificate,
    install: (renewed) => server.setCertificate(renewed),
    clock,
    log,
  })
  const close = async (): Promise<void> => {
    certificates.stop()
    identity.close()
    spend?.close()
    await Promise.all(upstreams.map((upstream) => upstream.close()))
    await Promise.all([egresses.close(), database.close()])
  }

  return {
    async listen() {
      announce(parts, await server.listen())
    },
    async drain(reason) {
      await drainParts(reason, { ...made, server }, parts)
      await close()
    },
    reload: () => certificates.reload(),
    cut() {
      telemetry.cut()
      return server.cut()
    },
  }
}

/** Open requests first: what they used is billed, and what they report is relayed. */
async function drainParts(
  reason: string,
  made: MadeParts & { readonly server: GatewayServer },
  { settings, clock, log }: GatewayParts,
): Promise<void> {
  const windowMs = settings.drainTimeoutMs
  log.info(
    `${reason}: draining, open requests have ${windowMs} ms (CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS)`,
  )
  const startedAt = clock.elapsed()
  const cut = await made.server.drain(windowMs)
  if (cut > 0)
    log.warn(`drain window over after ${windowMs / 1000}s: cut ${cut} request(s) still open`)
  else log.info('drained: no request was cut')
  const leftMs = Math.max(0, windowMs - (clock.elapsed() - startedAt))
  await Promise.all([
    drainTelemetry(made.telemetry, leftMs, log),
    made.counter.idle().then(() => drainSpend(made.spend, leftMs, log)),
  ])
}

async function drainTelemetry(telemetry: TelemetryRelay, leftMs: number, log: Log): Promise<void> {
  const ended = await telemetry.drain(leftMs)
  if (ended > 0) log.warn(`shutdown: gave up ${ended} telemetry report(s)`)
}

/** A cut call is billed too, so that even an empty window writes what it can at once. */
async function drainSpend(spend: Spend | null, leftMs: number, log: Log): Promise<void> {
  const lost = (await spend?.drain(Math.max(leftMs, lastFlushMs))) ?? 0
  if (lost > 0) log.error(`shutdown: ${lost} cents of spend could not be written`)
}

/** What an operator wants to read of a gateway that listens now. */
function announce({ loaded, settings, clock, log }: GatewayParts, port: number): void {
  for (const line of describeBoot(loaded.config, settings, port)) log.info(line)
  for (const note of loaded.notes) log.info(note)
  for (const { path, text } of loaded.warnings) log.warn(path === '' ? text : `${path}: ${text}`)
  // Loopback is for trying things out, on machines whose network nobody closed.
  if (!settings.allowLoopback) void warnOfMetadata(clock, log) // it never rejects
}

function readCertificate(files: { readonly cert: string; readonly key: string }): Certificate {
  return { cert: readFileSync(files.cert), key: readFileSync(files.key) }
}

interface MadeParts {
  readonly certificate: Certificate | undefined
  readonly egress: Egress
  readonly identity: Identity
  readonly upstreams: readonly Upstream[]
  readonly database: Database
  readonly telemetry: TelemetryRelay
  readonly spend: Spend | null
  readonly counter: InputCounter
}

function createListener(config: Config, made: MadeParts, parts: GatewayParts): GatewayServer {
  const { clock, log, audit } = parts
  const { listen, access_control, limits } = config
  const { identity, database } = made
  const readiness: Readiness = () => (server.draining ? 'draining' : database.readiness())
  const routes = createRoutes(
    createHandlers(config, { ...parts, ...made, store: database.store, readiness }),
  )
  const server = createServer(
    {
      edge: createEdge({
        router: createRouter(routes),
        access: createAccessControl(access_control, audit),
        noticePublicClient: createPublicClientNotice(audit, log),
        checkLimits: createLimitCheck(limits),
        authenticate: (exchange) => identity.authenticate(exchange),
      }),
      clientAddress: createClientAddressReader(listen.trusted_proxies, log),
      clock,
      log,
    },
    {
      host: listen.host,
      port: listen.port,
      tls: made.certificate,
      bodyBytesMax: limits.max_request_bytes,
    },
  )
  return server
}
