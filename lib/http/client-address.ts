/**
 * Who sent a request: the TCP peer, or, behind proxies the operator trusts, the hop of
 * `X-Forwarded-For` that the nearest untrusted party stands for. `X-Real-IP` and `Forwarded` are
 * never read: one source of truth that a client cannot choose between.
 */
import type { Log } from '../kernel/log.ts'
import { createNetworkSet, type NetworkSet, normalizeAddress } from './address.ts'
import type { ClientAddress } from './served-exchange.ts'

/**
 * Hops looked at, from the right. Real chains have a handful; without a bound a header of 256 KiB
 * full of trusted addresses would cost a request milliseconds.
 */
const hopsMax = 64

/**
 * `forwarded` is `X-Forwarded-For` as node:http joins several lines of it: in order, as RFC 9110
 * section 5.3 has it. Undefined when there is none.
 */
export type ClientAddressReader = (peer: string, forwarded: string | undefined) => ClientAddress

export function createClientAddressReader(
  trustedProxies: readonly string[],
  log: Log,
): ClientAddressReader {
  if (trustedProxies.length === 0) return createPeerReader(log)
  const trusted = createNetworkSet(trustedProxies)
  return (peer, forwarded) => {
    if (forwarded === undefined || !trusted.has(peer)) return { address: peer, unreadableHop: null }
    return walk(peer, forwarded, trusted)
  }
}

/** A header that decides nothing is worth one warning: the operator may have meant it to. */
function createPeerReader(log: Log): ClientAddressReader {
  let warned = false
  return (peer, forwarded) => {
    if (forwarded !== undefined && !warned) {
      warned = true
      log.warn(
        `X-Forwarded-For ignored, first seen from ${peer}: listen.trusted_proxies is empty, ` +
          `so client addresses are those of TCP peers`,
      )
    }
    return { address: peer, unreadableHop: null }
  }
}

/** Right to left past trusted hops. All trusted, or one that is no address: the peer. */
function walk(peer: string, forwarded: string, trusted: NetworkSet): ClientAddress {
  let seen = 0
  for (const hop of forwarded.split(',').toReversed()) {
    const entry = hop.trim()
    if (entry === '') continue
    const address = ++seen > hopsMax ? null : normalizeAddress(withoutPort(entry))
    if (address === null) return { address: peer, unreadableHop: entry }
    if (!trusted.has(address)) return { address, unreadableHop: null }
  }
  return { address: peer, unreadableHop: null }
}

/** `1.2.3.4:5555` and `[2001:db8::1]:44` as some proxies write them. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)
  if (bracketed?.[1] !== undefined) return bracketed[1]
  const ported = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)
  return ported?.[1] ?? hop
}
