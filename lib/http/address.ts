/**
 * IP addresses as they come from sockets, headers and the configuration, in one spelling, and
 * sets of networks to look them up in. No names, no DNS.
 */
import { BlockList, isIP, SocketAddress } from 'node:net'

export interface NetworkSet {
  readonly empty: boolean
  /** `address` in the spelling of `normalizeAddress`. */
  has(address: string): boolean
}

/**
 * One spelling per address: IPv6 compressed in lower case without a zone, IPv4-mapped IPv6 as
 * IPv4 (a dual-stack listener reports IPv4 peers that way). Null when it is no address.
 */
export function normalizeAddress(text: string): string | null {
  const family = isIP(text)
  if (family === 4) return text
  if (family === 0) return null
  const address = new SocketAddress({ address: withoutZone(text), family: 'ipv6' }).address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)
  return mapped?.[1] ?? address
}

/** `entries` are addresses or CIDR networks, host bits allowed; throws on anything else. */
export function createNetworkSet(entries: readonly string[]): NetworkSet {
  const list = new BlockList()
  for (const entry of entries) addNetwork(list, entry)
  return {
    empty: entries.length === 0,
    has: (address) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4'),
  }
}

function addNetwork(list: BlockList, entry: string): void {
  const slash = entry.indexOf('/')
  const address = slash === -1 ? entry : entry.slice(0, slash)
  const normal = normalizeAddress(address)
  if (normal === null) throw new Error(`not an IP address or network: ${entry}`)
  const family = normal.includes(':') ? 'ipv6' : 'ipv4'
  if (slash === -1) {
    list.addAddress(normal, family)
    return
  }
  // A mapped network (`::ffff:10.0.0.0/104`) is the IPv4 one behind its first 96 bits.
  const mappedBits = family === 'ipv4' && address.includes(':') ? 96 : 0
  const bits = entry.slice(slash + 1)
  if (!/^\d{1,3}$/.test(bits)) throw new Error(`not a prefix length: ${entry}`)
  list.addSubnet(normal, Number(bits) - mappedBits, family)
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%')
  return percent === -1 ? address : address.slice(0, percent)
}
