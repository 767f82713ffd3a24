/**
 * The gateway's own front: may the port be bound, are the files of `listen.tls` good, and what
 * does somebody get who asks the public address?
 */
import { readFile } from 'node:fs/promises'
import { createServer, isIPv6 } from 'node:net'
import { describeFailure, failureCode } from '../egress/describe-failure.ts'
import { parseCertificates } from '../schema/certificate.ts'
import { judgeCertificate } from './certificate.ts'
import { askAsClient, type ClientView } from './client-view.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { bounded, type DoctorParts } from './parts.ts'

/** A person waits longer for no page of a sign-in. */
const answerMs = 10_000

export async function checkListener(parts: DoctorParts): Promise<readonly Finding[]> {
  const [port, files, served] = await Promise.all([
    checkPort(parts),
    checkFiles(parts),
    checkServed(parts),
  ])
  return [port, ...files, ...served]
}

async function checkPort(parts: DoctorParts): Promise<Finding> {
  const { host, port } = parts.config.listen
  const check = 'listener port'
  try {
    await bind(host, port)
    return ok(check, `${host}:${port} is free`)
  } catch (error) {
    switch (failureCode(error) ?? '') {
      case 'EADDRINUSE':
        return describeTaken(check, parts)
      case 'EACCES':
        return failed(
          check,
          describeFailure(error),
          'set listen.port to 1024 or above, or give the service CAP_NET_BIND_SERVICE',
        )
      default:
        return failed(
          check,
          describeFailure(error),
          'set listen.host to an address of this machine, or to 0.0.0.0',
        )
    }
  }
}

/** Resolves when it could be bound, and gives it back at once. */
export function bind(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

/** A running gateway is no problem: the doctor is asked of live deployments too. */
async function describeTaken(
  check: string,
  { config: { listen }, clock }: DoctorParts,
): Promise<Finding> {
  const { host, port } = listen
  const near = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  const url = new URL(
    `${listen.tls === undefined ? 'http' : 'https'}://${isIPv6(near) ? `[${near}]` : near}:${port}/healthz`,
  )
  const isGateway = await bounded(clock, 'asking it', answerMs, (signal) =>
    askAsClient(url, signal),
  ).then(
    ({ status, body }) => status === 200 && body === 'ok',
    () => false,
  )
  if (isGateway) return ok(check, `${host}:${port} is taken by a running gateway`)
  return failed(
    check,
    `${host}:${port} is taken by another program`,
    `end it (ss -ltnp shows which one listens on ${port}), or set listen.port to another port`,
  )
}

async function checkFiles({ config: { listen }, clock }: DoctorParts): Promise<readonly Finding[]> {
  const { tls, public_url } = listen
  if (tls === undefined) return []
  const check = 'listen.tls certificate'
  const parsed = parseCertificates(await readFile(tls.cert, 'latin1'))
  if (parsed.kind === 'bad') {
    return [failed(check, parsed.found, `put a PEM certificate into ${tls.cert}`)]
  }
  const url = public_url === undefined ? null : new URL(public_url)
  // A proxy in front that terminates TLS may talk to the listener under any name.
  const isDirect = url === null || Number(url.port || 443) === listen.port
  const hostname = isDirect ? url?.hostname : undefined
  return [judgeCertificate(check, { chain: parsed.value, hostname, place: tls.cert }, clock.now())]
}

async function checkServed({ config, clock }: DoctorParts): Promise<readonly Finding[]> {
  const { public_url } = config.listen
  if (public_url === undefined) return []
  const check = 'public_url as served'
  const url = new URL(`${public_url}/.well-known/oauth-authorization-server`)
  let view: ClientView
  try {
    view = await bounded(clock, `asking ${url.origin}`, answerMs, (signal) =>
      askAsClient(url, signal),
    )
  } catch (error) {
    return [
      warned(
        check,
        describeFailure(error),
        `nothing answers at ${url.origin} yet: start the gateway and what stands in front of it, open the firewall between, and ask again`,
      ),
    ]
  }
  return [...judgeServedCertificate(view, url, clock.now()), judgeAnswer(check, view, public_url)]
}

function judgeServedCertificate(
  { certificate, distrust }: ClientView,
  { hostname, host }: URL,
  now: number,
): readonly Finding[] {
  if (certificate === null) return []
  const check = 'public_url certificate'
  const place = `whatever terminates TLS for ${host}`
  const judged = judgeCertificate(
    check,
    { chain: [certificate], hostname, place, isWhole: true },
    now,
  )
  if (judged.result === 'fail' || distrust === null) return [judged]
  return [
    warned(
      check,
      `this machine does not trust it: ${distrust}`,
      `let ${host} send its whole chain; when a private authority issued it, give that to developers' machines (NODE_EXTRA_CA_CERTS, or the system's store)`,
    ),
  ]
}

function judgeAnswer(check: string, { status, body }: ClientView, public_url: string): Finding {
  if (status >= 502 && status <= 504) {
    return warned(
      check,
      `${status}: the proxy in front has no gateway behind it`,
      'start the gateway, or correct the address that the proxy forwards to, and ask again',
    )
  }
  const issuer = status === 200 ? readIssuer(body) : undefined
  if (issuer === public_url) return ok(check, `a gateway answers as ${issuer}`)
  if (issuer !== undefined) {
    return failed(
      check,
      `a gateway answers, but calls itself ${issuer}`,
      `set listen.public_url of that gateway to ${public_url}, or let the name lead to this one`,
    )
  }
  return failed(
    check,
    `${status} and no discovery document`,
    'let the proxy forward every path unchanged, without a sign-in of its own, a prefix or a redirect',
  )
}

function readIssuer(body: string): string | undefined {
  try {
    const document: unknown = JSON.parse(body)
    if (typeof document !== 'object' || document === null || !('issuer' in document)) return
    return typeof document.issuer === 'string' ? document.issuer : undefined
  } catch {
    return undefined // A page of something else.
  }
}
