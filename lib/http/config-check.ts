/**
 * What the schema of the edge cannot say: keys that depend on each other, files behind paths, and
 * settings that boot but surprise. Called by the configuration loader.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { expiryWarning, parseCertificates, parsePrivateKey } from '../schema/certificate.ts'
import { type ConfigFacts, fileProblem } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { EdgeConfig } from './config.ts'

/** A bind to one of these is reached from this machine alone. */
const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Header bytes that node:http was built to take; the key can only lower them. */
const headerBytesMax = 262_144

const privateRanges =
  '10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, ::1/128, fc00::/7'

export function checkEdge(
  { listen, access_control, limits }: Loose<EdgeConfig>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  if (listen !== undefined) checkListen(listen, facts, report)
  const exposed = listen?.host !== undefined && !loopbackHosts.has(listen.host)
  if (exposed && access_control?.allow_cidrs?.length === 0) {
    report.warn(
      ['access_control', 'allow_cidrs'],
      `is empty, so every address that reaches the listener is served; inside a company network list ${privateRanges}`,
    )
  }
  const headerBytes = limits?.max_request_header_bytes
  if (headerBytes !== undefined && headerBytes > headerBytesMax) {
    report.warn(
      ['limits', 'max_request_header_bytes'],
      `has no effect above the built-in ${headerBytesMax}`,
    )
  }
}

function checkListen(
  listen: Loose<EdgeConfig['listen']>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const { host, public_url, trusted_proxies, tls } = listen
  if (host !== undefined && !loopbackHosts.has(host) && !facts.isSet(['listen', 'public_url'])) {
    report.error(['listen', 'public_url'], {
      expected: 'a URL, because listen.host is not a loopback address',
    })
  }
  const url = public_url === undefined ? null : URL.parse(public_url)
  if (url?.protocol === 'http:' && !isLoopbackName(url.hostname)) {
    report.warn(
      ['listen', 'public_url'],
      'is plain http: tokens travel in clear, and clients may refuse it; use https',
    )
  }
  for (const [index, network] of (trusted_proxies ?? []).entries()) {
    if (network !== undefined && network.endsWith('/0')) {
      report.warn(
        ['listen', 'trusted_proxies', index],
        'trusts everybody, so anybody can claim any client address',
      )
    }
  }
  if (tls !== undefined) checkTls(tls, facts, report)
}

function isLoopbackName(hostname: string): boolean {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return loopbackHosts.has(bare) || bare.startsWith('127.') || bare.endsWith('.localhost')
}

function checkTls(
  { cert, key }: Loose<NonNullable<EdgeConfig['listen']['tls']>>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const path = (name: string): KeyPath => ['listen', 'tls', name]
  const certificates = readPem(cert, path('cert'), 'certificate', parseCertificates, facts, report)
  const privateKey = readPem(key, path('key'), 'private key', parsePrivateKey, facts, report)
  const [own] = certificates ?? []
  if (own === undefined) return
  const warning = expiryWarning(own, facts.now)
  if (warning !== null) report.warn(path('cert'), warning)
  if (privateKey !== undefined && !own.checkPrivateKey(privateKey)) {
    report.error(path('key'), {
      expected: `the private key of the first certificate in ${cert}`,
      found: `${key}: the key of another certificate`,
    })
  }
}

function readPem<T>(
  file: string | undefined,
  path: KeyPath,
  what: string,
  parse: (pem: string) => { kind: 'ok'; value: T } | { kind: 'bad'; found: string },
  { readFile }: ConfigFacts,
  report: ConfigReport,
): T | undefined {
  if (file === undefined) return undefined
  const complain = (found: string): undefined => {
    report.error(path, { expected: `a PEM file with a ${what}`, found: `${file}: ${found}` })
  }
  let pem: string
  try {
    pem = Buffer.from(readFile(file)).toString('latin1')
  } catch (error) {
    // Reported like every other mistake in the file.
    return complain(fileProblem(error))
  }
  const parsed = parse(pem)
  return parsed.kind === 'ok' ? parsed.value : complain(parsed.found)
}
