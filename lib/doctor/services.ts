/**
 * What stands around the gateway: collectors, the policy webhook, the forward proxy, the metadata
 * service. Collectors are sent one empty export for each signal, through the code that will send
 * the real ones; the webhook is only reached, never asked for a verdict.
 */
import { connect } from 'node:net'
import { describeFailure } from '../egress/describe-failure.ts'
import { metadataReachable } from '../egress/guard.ts'
import type { ForwardProxy } from '../egress/proxy-environment.ts'
import type { ForwardConfig } from '../telemetry/config.ts'
import { createDestination, nameOf, type Signal } from '../telemetry/destination.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { bounded, createMemoryLog, type DoctorParts } from './parts.ts'

/** The gateway gives a proxy eight seconds for the whole way to an origin. */
const proxyMs = 5_000
/** Ten seconds are the most that a verdict may take. */
const webhookMs = 10_000

const signals: readonly Signal[] = ['metrics', 'logs', 'traces']

/** An OTLP request of any signal with one resource and nothing of it: valid, and counted by nobody. */
const emptyExport = Uint8Array.of(0x0a, 0x00)

export async function checkCollectors(parts: DoctorParts): Promise<readonly Finding[]> {
  const destinations = parts.config.telemetry?.forward_to ?? []
  return Promise.all(
    destinations.flatMap((config) =>
      signals
        .filter((signal) => config[signal])
        .map((signal) => checkCollector(config, signal, parts)),
    ),
  )
}

async function checkCollector(
  config: ForwardConfig,
  signal: Signal,
  { egresses, clock }: DoctorParts,
): Promise<Finding> {
  const check = `collector ${signal}`
  const { log, lines } = createMemoryLog()
  const destination = createDestination({ egress: egresses.service, clock, log }, config)
  const delivery = await destination.deliver({
    signal,
    body: emptyExport,
    contentType: 'application/x-protobuf',
    contentEncoding: undefined,
  })
  const [said] = lines
  if (delivery === 'settled' && said === undefined) {
    return ok(check, `${nameOf(config)} took an empty export`)
  }
  const seen = said ?? `${nameOf(config)} took nothing`
  if (delivery === 'settled') {
    return warned(
      check,
      seen,
      `let the collector take OTLP over HTTP in protobuf at /v1/${signal}: clients send it`,
    )
  }
  return failed(check, seen, fixFor(seen, signal))
}

function fixFor(seen: string, signal: Signal): string {
  if (/: 40[13]/.test(seen)) return 'correct the credential in headers of this telemetry.forward_to'
  if (/: 404/.test(seen)) {
    return `take /v1/${signal} off the end of url, which the gateway appends, or turn ${signal} off for this collector`
  }
  return 'correct url, open the firewall to the collector, and see that it takes OTLP over HTTP (usually port 4318, not 4317)'
}

export async function checkWebhook({
  config: { cri },
  egresses,
  clock,
}: DoctorParts): Promise<readonly Finding[]> {
  const url = cri?.enabled === true ? cri.policy.webhook?.url : undefined
  if (url === undefined) return []
  const check = 'policy webhook'
  try {
    const { status } = await bounded(clock, 'reaching it', webhookMs, (signal) =>
      egresses.service.fetch(url, { method: 'HEAD', signal }),
    )
    return [ok(check, `reached (HEAD is answered ${status}); it was not asked for a verdict`)]
  } catch (error) {
    return [
      failed(
        check,
        describeFailure(error),
        'correct cri.policy.webhook.url and open the firewall to it: without its verdict every request is refused, unless fail_closed is false',
      ),
    ]
  }
}

export async function checkProxies({ settings, clock }: DoctorParts): Promise<readonly Finding[]> {
  const { proxies } = settings
  if (proxies === null) return []
  const distinct = new Map<string, ForwardProxy>()
  for (const proxy of [proxies.https, proxies.http]) if (proxy) distinct.set(proxy.label, proxy)
  return Promise.all(
    [...distinct.values()].map(async ({ host, port, label }) => {
      const check = 'forward proxy'
      try {
        await bounded(clock, `connecting to ${label}`, proxyMs, (signal) =>
          reach(host, port, signal),
        )
        return ok(check, `${label} takes connections`)
      } catch (error) {
        return failed(
          check,
          `${label}: ${describeFailure(error)}`,
          'correct HTTPS_PROXY and HTTP_PROXY, or unset them when this machine has a direct way out',
        )
      }
    }),
  )
}

function reach(host: string, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    signal.addEventListener('abort', () => socket.destroy(), { once: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}

export async function checkMetadata({ clock }: DoctorParts): Promise<readonly Finding[]> {
  const check = 'metadata service'
  if (!(await metadataReachable(clock))) return [ok(check, '169.254.169.254 does not answer')]
  return [
    warned(
      check,
      '169.254.169.254 is reachable from here; the gateway itself never asks it for a client',
      'refuse it with a network rule, unless an upstream with auth: {} takes its credentials from there; on AWS require IMDSv2 with a hop limit of 1',
    ),
  ]
}
