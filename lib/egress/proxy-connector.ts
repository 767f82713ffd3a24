/**
 * The connector of the dispatcher where proxies are configured: directly, or through a tunnel to
 * an address checked here, or to a name that the proxy resolves. TLS inside the tunnel is with
 * the origin and verified by its name. It must never fall back from a proxy to a direct connection.
 */
import { isIP, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { Clock } from '../kernel/clock.ts'
import { refuseHost, refuseUnresolved } from './address.ts'
import {
  createGuardedConnector,
  createTlsOptions,
  guardedLookup,
  type GuardOptions,
  refused,
} from './guard.ts'
import { type ForwardProxy, type Proxies, type ProxyChoice, proxyFor } from './proxy-environment.ts'
import { openTunnel, ProxyFailure } from './tunnel.ts'

export interface ProxyRules extends GuardOptions {
  readonly proxies: Proxies
  /**
   * `here`: names are resolved and checked, and the proxy is given the address. `proxy`: it is
   * given the name.
   */
  readonly resolvedBy: 'here' | 'proxy'
  readonly choice: ProxyChoice
  readonly clock: Clock
}

/** Addresses of one name that a proxy is asked for in turn: one of each family and a spare. */
const addressesMax = 3

export function createProxyConnector(rules: ProxyRules): buildConnector.connector {
  const { proxies, choice } = rules
  const direct = createGuardedConnector(rules)
  const connectTls = buildConnector(createTlsOptions(rules.ca))
  return (options, callback) => {
    const proxy = proxyFor(options, proxies, choice)
    if (proxy === null) {
      direct(options, callback)
      return
    }
    const deliver = (socket: Socket): void => {
      if (options.protocol !== 'https:') callback(null, socket)
      else connectTls({ ...options, httpSocket: socket }, callback)
    }
    const fail = (error: unknown): void =>
      callback(error instanceof Error ? error : new Error(String(error)), null)
    openThrough(proxy, options, rules).then(deliver, fail)
  }
}

async function openThrough(
  proxy: ForwardProxy,
  { hostname, protocol, port }: Pick<buildConnector.Options, 'hostname' | 'protocol' | 'port'>,
  rules: ProxyRules,
): Promise<Socket> {
  const hosts = await hostsFor(hostname, rules)
  const target = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  let failure: unknown
  for (const host of hosts.slice(0, addressesMax)) {
    try {
      return await openTunnel(proxy, { host, port: target }, rules.clock)
    } catch (error) {
      failure = error
      // Only these say something about the address rather than about the proxy or the caller.
      const { status } = error instanceof ProxyFailure ? error : { status: null }
      if (status === null || status < 502 || status > 504) break
    }
  }
  throw failure
}

/** What the proxy may be asked to connect to: one name, or the addresses that passed the guard. */
function hostsFor(hostname: string, rules: ProxyRules): Promise<readonly string[]> {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  const judge = rules.resolvedBy === 'proxy' ? refuseUnresolved : refuseHost
  const refusal = judge(hostname, rules)
  if (refusal !== null) return Promise.reject(refused(hostname, refusal))
  if (rules.resolvedBy === 'proxy' || isIP(bare) !== 0) return Promise.resolve([bare])
  return new Promise((resolve, reject) => {
    guardedLookup(rules, rules.resolve)(bare, { all: true }, (error, addresses) => {
      if (error !== null) reject(error)
      else if (typeof addresses === 'string') resolve([addresses])
      else resolve(addresses.map(({ address }) => address))
    })
  })
}
