/**
 * Which hosts and addresses the gateway may not connect to, as pure functions: the guard asks for
 * every connection, configuration checks ask for literal hosts. Private networks are allowed: that
 * is where operators' own services live.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface AddressRules {
  /** Set only by `CLAUDE_GATEWAY_ALLOW_LOOPBACK`. */
  readonly allowLoopback: boolean
}

/** Why a host or address is refused, as an end of the sentence "X is …"; null when allowed. */
export type Refusal = string | null

const classes: readonly {
  readonly what: string
  readonly loopback?: true
  readonly list: BlockList
}[] = [
  {
    what: 'a loopback address',
    loopback: true,
    list: blockList(['127.0.0.0/8'], ['::1/128']),
  },
  // Connecting to these reaches the machine itself, as loopback does, but no service is named so.
  { what: 'an unspecified address', list: blockList(['0.0.0.0/8'], ['::/128']) },
  {
    what: 'a metadata address',
    list: blockList(
      // The usual one and the container one of AWS, Alibaba, Oracle.
      ['169.254.169.254/32', '169.254.170.2/32', '100.100.100.200/32', '192.0.0.192/32'],
      // AWS, Google.
      ['fd00:ec2::254/128', 'fd20:ce::254/128'],
    ),
  },
  { what: 'a link-local address', list: blockList(['169.254.0.0/16'], ['fe80::/10']) },
  { what: 'a multicast address', list: blockList(['224.0.0.0/4'], ['ff00::/8']) },
  { what: 'a broadcast address', list: blockList(['255.255.255.255/32'], []) },
]

/** Names that only ever mean a cloud's metadata service, whatever they resolve to. */
const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
])

/** Judges `hostname` of a parsed URL: a name, an IPv4 address or a bracketed IPv6 address. */
export function refuseHost(hostname: string, rules: AddressRules): Refusal {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (isIPv4(bare) || isIPv6(bare)) return refuseAddress(bare, rules)
  // A trailing dot names the same host; URL parsing has already lower-cased it.
  const name = bare.toLowerCase().replace(/\.$/, '')
  return metadataNames.has(name) ? 'a metadata host' : null
}

/** RFC 6761: `localhost` and every name under it mean the machine itself; hosts files know more. */
const localNames =
  /(?:^|\.)localhost(?:\.localdomain)?\.?$|^(?:localhost[46]|ip6-(?:localhost|loopback))(?:\.localdomain[46]?)?\.?$/i

/** Judges a host that somebody else will resolve: what it means here is all that can be known. */
export function refuseUnresolved(hostname: string, rules: AddressRules): Refusal {
  const refusal = refuseHost(hostname, rules)
  if (refusal !== null || rules.allowLoopback) return refusal
  return localNames.test(hostname) ? 'a loopback name' : null
}

/** Judges an IP address as a resolver returns it. */
export function refuseAddress(address: string, { allowLoopback }: AddressRules): Refusal {
  const bare = address.split('%', 1)[0] ?? ''
  if (isIPv4(bare)) return judge(bare, 'ipv4', allowLoopback)
  if (!isIPv6(bare)) return 'not an IP address'
  const embedded = embeddedIPv4(bare)
  if (embedded !== null) {
    const inner = judge(embedded, 'ipv4', allowLoopback)
    if (inner !== null) return inner
  }
  return judge(bare, 'ipv6', allowLoopback)
}

function judge(address: string, family: 'ipv4' | 'ipv6', allowLoopback: boolean): Refusal {
  for (const { what, loopback, list } of classes) {
    if (list.check(address, family)) return loopback && allowLoopback ? null : what
  }
  return null
}

/**
 * The IPv4 address that a packet to this IPv6 address would end at, or null: IPv4-mapped,
 * IPv4-compatible and IPv4-translated (RFC 4291, RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4
 * (RFC 3056).
 */
function embeddedIPv4(address: string): string | null {
  const groups = ipv6Groups(address)
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups
  if (g0 === 0x2002) return dotted(g1, g2)
  const nat64 = g0 === 0x64 && g1 === 0xff9b && (g2 === 0 || g2 === 1)
  if (nat64) return dotted(g6, g7)
  if (g0 !== 0 || g1 !== 0 || g2 !== 0 || g3 !== 0) return null
  const mapped = g4 === 0 && g5 === 0xffff
  const translated = g4 === 0xffff && g5 === 0
  // `::` and `::1` are addresses of their own, judged as IPv6.
  const compatible = g4 === 0 && g5 === 0 && (g6 !== 0 || g7 > 1)
  return mapped || translated || compatible ? dotted(g6, g7) : null
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function ipv6Groups(address: string): number[] {
  // URL parsing writes a dotted tail as two groups and leaves at most one `::`.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList()
  const add = (subnet: string, family: 'ipv4' | 'ipv6'): void => {
    const [network = '', prefix] = subnet.split('/')
    list.addSubnet(network, Number(prefix), family)
  }
  for (const subnet of ipv4) add(subnet, 'ipv4')
  for (const subnet of ipv6) add(subnet, 'ipv6')
  return list
}
