/**
 * The composition root: makes what lives as long as the process (listener, database, spend,
 * certificates) and the first generation of what a configuration makes, and gives the whole its
 * life. No logic of its own beyond the order of boot: identity provider before database, database
 * before listener, so that a mistake never leaves half a deployment behind.
 */
import { readFileSync } from 'node:fs'
import { refuseMixedLoadTest, warnOfMetadata } from './boot-checks.ts'
import { describeBoot } from './boot-lines.ts'
import { type Certificates, keepCertificates } from './certificates.ts'
import type { Config, LoadedConfig } from './config.ts'
import type { EnvironmentSettings } from './config/environment.ts'
import type { ConfigFiles } from './config-files.ts'
import { metadataReachable } from './egress/guard.ts'
import { createServiceEgress } from './egress/purpose.ts'
import { createGeneration, type Lasting } from './generation.ts'
import { createGenerations, type Generations } from './generations.ts'
import type { Certificate } from './http/node-server.ts'
import { createServer, type GatewayServer } from './http/server.ts'
import type { Clock } from './kernel/clock.ts'
import type { Audit, Log } from './kernel/log.ts'
import type { Sources } from './metrics/families.ts'
import { createMetrics } from './metrics/metrics.ts'
import { createReload, logNotices, type Prepared, type Reload } from './reload.ts'
import { createSpend, type Spend } from './spend/spend.ts'
import { openDatabase } from './store/database.ts'
import { createTelemetryRelay, type TelemetryRelay } from './telemetry/relay.ts'
import { createAdmission, defaultBytesMax, defaultOpenMax } from './upstream/admission.ts'

/** One statement of a database that is there. */
const lastFlushMs = 2000

export interface GatewayParts {
  readonly loaded: Extract<LoadedConfig, { kind: 'ok' }>
  readonly files: ConfigFiles
  readonly settings: EnvironmentSettings
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  /** Ends the boot early. */
  readonly signal: AbortSignal
  /** What only the process knows of itself, for `extensions.metrics`. */
  readonly facts: Pick<Sources, 'process' | 'linesLost' | 'auditFile'>
}

export interface Gateway {
  /** Binds, then says so; rejects when the port is taken. */
  listen(): Promise<void>
  /** Stops listening, lets open requests finish within the drain window, closes everything. */
  drain(reason: string): Promise<void>
  /** Looks again at the configuration and the certificate's files, and logs what came of it. */
  reload(reason: string): Promise<void>
  /** Ends every open request now and returns how many there were. */
  cut(): number
}

/** Rejects with one line for the operator when the configured world is not there. */
export async function createGateway(given: GatewayParts): Promise<Gateway> {
  const { config } = given.loaded
  const { signal } = given
  const { metrics: asked } = config.extensions
  const knows = (model: string): boolean => generations.current.knows(model)
  const metrics = asked === undefined ? null : createMetrics(asked, knows, given)
  const parts = metrics === null ? given : { ...given, audit: metrics.watch(given.audit) }
  const certificate = config.listen.tls && readCertificate(config.listen.tls)
  const observers = metrics?.observers ?? null
  const services = createServiceEgress({ ...given.settings, clock: given.clock })
  const telemetry = createTelemetryRelay(
    { ...parts, egress: services, lost: observers?.telemetryLost },
    config.telemetry,
    config.extensions.telemetry,
  )
  const outliving = createLasting(config, parts, () => server.draining)
  const lasting: Lasting = { ...outliving, telemetry, observers }
  const { database, spend } = lasting
  const first = createGeneration(config, lasting)
  await first.discover()
  await database.start(signal)
  // Before anything speaks up in the background: a refusal is the last line.
  await refuseMixedLoadTest(config, database.store)
  spend?.start()
  database.hints.start()
  await first.start()
  const generations = createGenerations(first, parts.clock, parts.log)
  const server = createListener(config, certificate, generations, parts)
  const certificates = createCertificates(config, certificate, server, parts)
  const reload = createReloadOf(generations, lasting, parts)
  return {
    async listen() {
      const port = await server.listen()
      await metrics?.start(sourcesOf(lasting, generations, certificates, parts))
      announce(parts, port)
    },
    async drain(reason) {
      reload.stop()
      await drainParts(reason, { server, generations, spend, telemetry }, parts)
      certificates.stop()
      spend?.close()
      await generations.close()
      await services.close()
      await database.close()
      await metrics?.close()
    },
    async reload(reason) {
      await Promise.all([certificates.reload(), reload.now(reason)])
    },
    cut() {
      telemetry.cut()
      return server.cut()
    },
  }
}

function sourcesOf(
  { admission, database, spend, telemetry, readiness }: Lasting,
  generations: Generations,
  certificates: Certificates,
  { facts }: GatewayParts,
): Sources {
  let isReady = true
  const ready = (): boolean => {
    // Asked for the next scrape: a probe of a database that hangs takes its time.
    void Promise.resolve(readiness()).then((missing) => (isReady = missing === null)) // never rejects
    return isReady
  }
  return {
    ...facts,
    admission,
    store: database.store,
    spend,
    ready,
    certificates: () => certificates.ends(),
    telemetry: () => telemetry.backlog(),
    revokedSessions: () => generations.current.revokedSessions(),
  }
}

/** A new generation answers only once it is whole; until then nothing has changed. */
function createReloadOf(
  generations: Generations,
  lasting: Lasting,
  { files, loaded, clock, log, audit }: GatewayParts,
): Reload {
  const prepare = async (config: Config, isProviderNew: boolean): Promise<Prepared> => {
    const next = createGeneration(config, lasting)
    try {
      // A provider that is known to be right may be away just now; sign-in asks it again.
      if (isProviderNew) await next.discover()
      await next.start()
    } catch (error) {
      await next.close()
      throw error
    }
    return {
      use() {
        if (config.admin !== undefined) lasting.spend?.use(config.admin)
        lasting.telemetry.use(config.telemetry, config.extensions.telemetry)
        generations.replace(next)
      },
      drop: () => next.close(),
    }
  }
  return createReload({ files, initial: loaded, prepare, clock, log, audit })
}

/** `isDraining` is asked by probes, once there is a listener. */
function createLasting(
  config: Config,
  parts: GatewayParts,
  isDraining: () => boolean,
): Omit<Lasting, 'observers' | 'telemetry'> {
  const { settings, clock, log } = parts
  const { hasExtraCa, openRequestsMax } = settings
  const countsSpend = config.admin !== undefined
  const database = openDatabase(config.store, { clock, log, hasExtraCa, countsSpend })
  const limits = {
    openMax: openRequestsMax ?? defaultOpenMax,
    bytesMax: defaultBytesMax,
    isConfigured: openRequestsMax !== undefined,
  }
  return {
    ...parts,
    database,
    spend: config.admin === undefined ? null : createSpend({ ...parts, ...database }, config.admin),
    admission: createAdmission(limits, clock, log),
    readiness: () => (isDraining() ? 'draining' : database.readiness()),
  }
}

/** What is asked per request is asked of the generation that answers now. */
function createListener(
  { listen }: Config,
  certificate: Certificate | undefined,
  generations: Generations,
  { clock, log }: GatewayParts,
): GatewayServer {
  return createServer(
    {
      edge: (exchange) => generations.current.edge(exchange),
      clientAddress: (peer, forwarded) => generations.current.clientAddress(peer, forwarded),
      clock,
      log,
    },
    {
      host: listen.host,
      port: listen.port,
      tls: certificate,
      get bodyBytesMax() {
        return generations.current.config.limits.max_request_bytes
      },
    },
  )
}

function createCertificates(
  config: Config,
  initial: Certificate | undefined,
  server: GatewayServer,
  { clock, log }: GatewayParts,
): Certificates {
  const install = (renewed: Certificate): void => server.setCertificate(renewed)
  return keepCertificates(config, { initial, install, clock, log })
}

interface Running {
  readonly server: GatewayServer
  readonly generations: Generations
  readonly spend: Spend | null
  readonly telemetry: TelemetryRelay
}

/** Open requests first: what they used is billed, and what they report is relayed. */
async function drainParts(
  reason: string,
  { server, generations, spend, telemetry }: Running,
  { settings, clock, log }: GatewayParts,
): Promise<void> {
  const windowMs = settings.drainTimeoutMs
  log.info(
    `${reason}: draining, open requests have ${windowMs} ms (CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS)`,
  )
  const startedAt = clock.elapsed()
  const cut = await server.drain(windowMs)
  if (cut > 0)
    log.warn(`drain window over after ${windowMs / 1000}s: cut ${cut} request(s) still open`)
  else log.info('drained: no request was cut')
  const leftMs = Math.max(0, windowMs - (clock.elapsed() - startedAt))
  const [reports] = await Promise.all([telemetry.drain(leftMs), generations.finish()])
  if (reports > 0) log.warn(`shutdown: gave up ${reports} telemetry report(s)`)
  // A cut call is billed too, so that even an empty window writes what it can at once.
  const lost = (await spend?.drain(Math.max(leftMs, lastFlushMs))) ?? 0
  if (lost > 0) log.error(`shutdown: ${lost} cents of spend could not be written`)
}

/** What an operator wants to read of a gateway that listens now. */
function announce({ loaded, settings, clock, log }: GatewayParts, port: number): void {
  for (const line of describeBoot(loaded.config, settings, port)) log.info(line)
  logNotices(loaded, log)
  // Loopback is for trying things out, on machines whose network nobody closed.
  if (!settings.allowLoopback) void warnOfMetadata(log, () => metadataReachable(clock)) // neither rejects
}

function readCertificate(files: { readonly cert: string; readonly key: string }): Certificate {
  return { cert: readFileSync(files.cert), key: readFileSync(files.key) }
}
