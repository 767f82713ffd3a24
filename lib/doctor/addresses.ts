/**
 * Names and what they stand for: every host that the operator named, resolved from here and
 * judged as the egress guard will judge it, and the public address as clients will. Connects to
 * nothing.
 */
import { isIP } from 'node:net'
import { refuseAddress, refuseHost } from '../egress/address.ts'
import { describeFailure } from '../egress/describe-failure.ts'
import { proxyFor } from '../egress/proxy-environment.ts'
import { createNetworkSet, type NetworkSet, normalizeAddress } from '../http/address.ts'
import { readTarget } from '../store/target.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { bounded, type DoctorParts, withoutBrackets } from './parts.ts'

/** A resolver that needs longer makes every new connection of the gateway late. */
const resolveMs = 5_000

/** What clients take for a private network at `/login`, where public addresses are refused. */
const privateNetworks = createNetworkSet([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
])
const loopback = createNetworkSet(['127.0.0.0/8', '::1/128'])

interface NamedHost {
  /** The key that names it. */
  readonly key: string
  readonly url: URL
  /** A proxy resolves it, so that nothing can be said from here. */
  readonly byProxy: boolean
  /** Connections to the database are the operator's own business. */
  readonly unguarded?: true
}

export async function checkAddresses(parts: DoctorParts): Promise<readonly Finding[]> {
  const hosts = namedHosts(parts)
  return Promise.all([checkPublicUrl(parts), ...hosts.map((host) => checkHost(host, parts))])
}

async function checkPublicUrl(parts: DoctorParts): Promise<Finding> {
  const check = 'address of public_url'
  const { listen } = parts.config
  if (listen.public_url === undefined) {
    return ok(check, 'none: the gateway is reached from this machine alone')
  }
  const { hostname } = new URL(listen.public_url)
  const addresses = await resolveHost(hostname, parts)
  if (typeof addresses === 'string') {
    return failed(
      check,
      `${hostname}: ${addresses}`,
      `create a DNS record for ${hostname} in the zone that developers' machines ask, pointing at the load balancer or at this machine`,
    )
  }
  const seen = `${hostname} is ${addresses.join(', ')}`
  const isLocal = addresses.some((address) => isIn(loopback, address))
  if (isLocal && isLoopbackBind(listen.host)) return ok(check, `${seen}, this machine alone`)
  if (isLocal) {
    return failed(
      check,
      `${seen}: loopback`,
      `developers' machines would ask themselves; let ${hostname} resolve to the load balancer, also in the hosts file of this machine`,
    )
  }
  const outside = addresses.filter((address) => !isIn(privateNetworks, address))
  if (outside.length === 0) return ok(check, `${seen}: private`)
  return warned(
    check,
    `${seen}: ${outside.join(', ')} is public`,
    'clients refuse a public address at /login unless their managed settings list its network in gatewayInternalNetworks; better let the name resolve to a private address inside the company network',
  )
}

function isIn(networks: NetworkSet, address: string): boolean {
  return networks.has(normalizeAddress(address) ?? address)
}

function isLoopbackBind(host: string): boolean {
  return host === 'localhost' || (isIP(host) !== 0 && isIn(loopback, host))
}

async function checkHost(host: NamedHost, parts: DoctorParts): Promise<Finding> {
  const { hostname } = host.url
  const check = `DNS ${host.key}`
  const bare = withoutBrackets(hostname)
  if (host.byProxy) return ok(check, `${bare} is resolved by the proxy`)
  const addresses = await resolveHost(hostname, parts)
  if (typeof addresses === 'string') {
    return failed(
      check,
      `${bare}: ${addresses}`,
      `correct ${host.key}, or let the resolver of this machine know the name`,
    )
  }
  const rules = { allowLoopback: parts.settings.allowLoopback }
  const refusal =
    host.unguarded === true
      ? null
      : (refuseHost(hostname, rules) ??
        addresses
          .map((address) => refuseAddress(address, rules))
          .find((reason, _, all) => reason !== null && all.every((each) => each !== null)))
  const seen = isIP(bare) === 0 ? `${bare} is ${addresses.join(', ')}` : bare
  if (refusal === null || refusal === undefined) return ok(check, seen)
  return failed(
    check,
    `${seen}: ${refusal}, which the gateway never connects to`,
    `let the name resolve to the address of the service in your network${refusal.includes('loopback') ? '; CLAUDE_GATEWAY_ALLOW_LOOPBACK=1 allows loopback for trying things out' : ''}`,
  )
}

/** Its addresses, or why there are none. */
async function resolveHost(
  hostname: string,
  { resolve, clock }: DoctorParts,
): Promise<readonly string[] | string> {
  const bare = withoutBrackets(hostname)
  if (isIP(bare) !== 0) return [bare]
  try {
    const found = await bounded(clock, 'resolving it', resolveMs, () => resolve(bare))
    return found.length === 0 ? 'no address' : [...new Set(found)]
  } catch (error) {
    return describeFailure(error)
  }
}

function namedHosts({ config, settings }: DoctorParts): readonly NamedHost[] {
  const { proxies, proxyIsEgressBoundary } = settings
  const viaProxy = (url: URL): boolean => proxies !== null && proxyFor(url, proxies) !== null
  const hosts: NamedHost[] = []
  const add = (key: string, text: string | undefined, kind: 'cloud' | 'idp' | 'own'): void => {
    const url = text === undefined ? null : URL.parse(text)
    if (url === null) return
    const usesProxy = kind === 'idp' ? config.oidc.use_proxy !== false : true
    const byProxy = (kind === 'cloud' || proxyIsEgressBoundary) && usesProxy && viaProxy(url)
    hosts.push({ key, url, byProxy })
  }
  add('oidc.issuer', config.oidc.discovery_url ?? config.oidc.issuer, 'idp')
  for (const { name, provider, base_url } of config.upstreams) {
    add(`upstream ${name}`, base_url, provider === 'anthropic' ? 'own' : 'cloud')
  }
  for (const [index, { url }] of (config.telemetry?.forward_to ?? []).entries()) {
    add(`telemetry.forward_to[${index}]`, url, 'own')
  }
  if (config.cri?.enabled === true) add('cri.policy.webhook', config.cri.policy.webhook?.url, 'own')
  const read = readTarget(config.store)
  const target = 'target' in read ? read.target : undefined
  if (target !== undefined && !target.host.startsWith('/')) {
    const host = isIP(target.host) === 6 ? `[${target.host}]` : target.host
    const url = URL.parse(`postgres://${host}:${target.port}`)
    if (url !== null) hosts.push({ key: 'store', url, byProxy: false, unguarded: true })
  }
  return hosts
}
