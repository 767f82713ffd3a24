/**
 * The proxy variables of the environment as values: which proxy an origin is reached through, if
 * any. Read once at boot; the dispatcher and configuration checks ask. A proxy's credentials are
 * in `authorization` alone and must never be part of a text.
 */
import { isIPv6 } from 'node:net'
import type { Environment } from '../kernel/report.ts'

export interface ForwardProxy {
  readonly secure: boolean
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
  /** The value of `proxy-authorization`; null: the proxy asks for none. */
  readonly authorization: string | null
  /** For people: scheme, host and port. */
  readonly label: string
}

/** One entry of `NO_PROXY`. */
interface Exemption {
  /** Lower case; null stands for every host. */
  readonly host: string | null
  /** null: every port. */
  readonly port: number | null
}

/** At least one is set. */
export interface Proxies {
  readonly https: ForwardProxy | null
  readonly http: ForwardProxy | null
  readonly exemptions: readonly Exemption[]
}

/** The variables in the order in which they count; each has a lower-case twin. */
const proxyVariables = ['HTTPS_PROXY', 'HTTP_PROXY']

/**
 * Which variable counts for an origin: its scheme's own, or, when that is not set, the other one
 * too.
 */
export type ProxyChoice = 'own' | 'any'

/**
 * null without any proxy. `warnings` name variables and never repeat a proxy's URL, which may hold
 * a password.
 */
export function readProxies(environment: Environment): {
  readonly proxies: Proxies | null
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
  const [https = null, http = null] = proxyVariables.map((name) => {
    const variable = setVariable(environment, name)
    if (variable === null) return null
    const proxy = parseProxy(variable.text)
    if (proxy === null) {
      warnings.push(
        `${variable.name} is not the URL of an http or https proxy and is ignored: hosts are reached as if it were not set`,
      )
    }
    return proxy
  })
  if (https === null && http === null) return { proxies: null, warnings }
  const exemptions = readExemptions(environment, warnings)
  return { proxies: { https, http, exemptions }, warnings }
}

/** The proxy for an origin; null: it is reached directly. */
export function proxyFor(
  { protocol, hostname, port }: Pick<URL, 'protocol' | 'hostname' | 'port'>,
  proxies: Proxies,
  choice: ProxyChoice = 'any',
): ForwardProxy | null {
  const isSecure = protocol === 'https:'
  const wanted = port === '' ? (isSecure ? 443 : 80) : Number(port)
  const host = bareHost(hostname)
  const isExempt = proxies.exemptions.some(
    (exemption) =>
      (exemption.port === null || exemption.port === wanted) &&
      (exemption.host === null || host === exemption.host || host.endsWith(`.${exemption.host}`)),
  )
  if (isExempt) return null
  const { https, http } = proxies
  const [own, other] = isSecure ? [https, http] : [http, https]
  return own ?? (choice === 'any' ? other : null)
}

/** The name of the variable that sets a proxy; undefined when none does. */
export function proxyVariable(environment: Environment): string | undefined {
  return proxyVariables
    .map((name) => setVariable(environment, name)?.name)
    .find((name) => name !== undefined)
}

const boundaryVariable = 'CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY'

/** Whether names go to the proxy unresolved, because it decides what may be reached. */
export function isEgressBoundary(environment: Environment, allowLoopback: boolean): boolean {
  const wanted = environment[boundaryVariable]
  const isOn = wanted === '1' || wanted === 'true'
  return isOn && findBoundaryBlockers(environment, allowLoopback).length === 0
}

/** What keeps a proxy from being the boundary, each completing "because …"; empty: nothing. */
export function findBoundaryBlockers(
  environment: Environment,
  allowLoopback: boolean,
): readonly string[] {
  const blockers: string[] = []
  if (readProxies(environment).proxies === null) {
    blockers.push('neither HTTPS_PROXY nor HTTP_PROXY names a proxy')
  }
  const exempt = setVariable(environment, 'NO_PROXY')
  if (exempt !== null) blockers.push(`${exempt.name} is not empty`)
  if (allowLoopback) blockers.push('CLAUDE_GATEWAY_ALLOW_LOOPBACK is on')
  return blockers
}

/** A variable or its lower-case twin; an empty one is not set. */
function setVariable(
  environment: Environment,
  upper: string,
): { readonly name: string; readonly text: string } | null {
  for (const name of [upper, upper.toLowerCase()]) {
    const text = environment[name]?.trim() ?? ''
    if (text !== '') return { name, text }
  }
  return null
}

function parseProxy(text: string): ForwardProxy | null {
  // `proxy.example.com:3128` is common, and a URL parser takes the host for a scheme.
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null
  const secure = url.protocol === 'https:'
  const { username, password } = url
  const credentials = `${decode(username)}:${decode(password)}`
  return {
    secure,
    host: bareHost(url.hostname),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    authorization:
      username === '' && password === ''
        ? null
        : `Basic ${Buffer.from(credentials).toString('base64')}`,
    label: url.origin,
  }
}

/** Percent-decoded; a password with a bare `%` is meant as it stands. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Longest part of an entry repeated in a warning: enough to recognise it. */
const quotedMax = 40

/** Hosts and domains, each with or without a port, separated by commas or blanks. */
function readExemptions(environment: Environment, warnings: string[]): readonly Exemption[] {
  const variable = setVariable(environment, 'NO_PROXY')
  const entries = variable?.text.split(/[\s,]+/).filter((entry) => entry !== '') ?? []
  return entries.flatMap((entry) => {
    if (entry === '*') return [{ host: null, port: null }]
    const exemption = parseExemption(entry)
    if (exemption === null) {
      warnings.push(
        `${variable?.name} has ${JSON.stringify(entry.slice(0, quotedMax))}, which has no effect: it takes hosts, domains (.example.com) and *, no networks`,
      )
      return []
    }
    return [exemption]
  })
}

function parseExemption(entry: string): Exemption | null {
  const domain = entry.replace(/^\*?\./, '')
  if (domain === '' || /[*/@?#\\]/.test(domain)) return null
  if (isIPv6(domain))
    return { host: bareHost(URL.parse(`http://[${domain}]/`)?.hostname ?? ''), port: null }
  const port = /:(\d{1,5})$/.exec(domain)?.[1]
  // As URLs write hosts, so that both sides compare: lower case, punycode, canonical addresses.
  const hostname = URL.parse(`http://${domain}`)?.hostname
  if (hostname === undefined) return null
  return { host: bareHost(hostname), port: port === undefined ? null : Number(port) }
}

/** Without the brackets of an IPv6 address and the dot that ends an absolute name. */
function bareHost(hostname: string): string {
  return hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
}
