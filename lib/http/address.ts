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

/**
 * `entries` are addresses or CIDR networks, host bits allowed; throws on anything else. Families
 * are kept apart: `::/0` says nothing about IPv4.
 */
export function createNetworkSet(entries: readonly string[]): NetworkSet {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const entry of entries) {
    const { address, bits, family } = parseNetwork(entry)
    lists[family].addSubnet(address, bits, family)
  }
  return {
    empty: entries.length === 0,
    has(address) {
      const family = familyOf(address)
      return lists[family].check(address, family)
    },
  }
}

type Family = 'ipv4' | 'ipv6'

interface Network {
  readonly address: string
  readonly bits: number
  readonly family: Family
}

function parseNetwork(entry: string): Network {
  const [written = '', length, ...more] = entry.split('/')
  const address = normalizeAddress(written)
  if (address === null || more.length > 0) throw new Error(`not an IP address or network: ${entry}`)
  const family = familyOf(address)
  const whole = familyOf(written) === 'ipv4' ? 32 : 128
  const bits = length === undefined ? whole : Number(length)
  if (!/^\d{1,3}$/.test(length ?? '0') || bits > whole) {
    throw new Error(`not a prefix length: ${entry}`)
  }
  if (family === familyOf(written)) return { address, bits, family }
  // A mapped network (`::ffff:10.0.0.0/104`) is the IPv4 one behind its first 96 bits.
  if (bits >= 96) return { address, bits: bits - 96, family }
  return { address: written, bits, family: 'ipv6' }
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%')
  return percent === -1 ? address : address.slice(0, percent)
}
