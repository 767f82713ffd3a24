/**
 * The SSRF guard: opens the connections of the dispatcher, each to an address that was resolved
 * and checked here, so that a name cannot change its mind between the check and the connection.
 * Names are resolved anew for every connection. It must never let a connection be made by name.
 */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { connect as connectSocket, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { Clock } from '../kernel/clock.ts'
import { refuseAddress, refuseHost, type AddressRules } from './address.ts'

/** The guard refused a host, or every address it resolved to. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
  readonly code = 'ECONNREFUSED_SSRF'
}

/** Resolves a name to all its addresses, as `dns.lookup` with `all` does. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/**
 * Until a TCP and TLS handshake is done: long enough for three SYN retransmissions, short enough
 * that a black-holed address costs a request seconds and not its whole deadline.
 */
const connectTimeoutMs = 10_000

/**
 * How long one of several addresses may take before the next is tried. Node's own 250 ms gives up
 * on far but healthy hosts.
 */
const addressAttemptMs = 500

export interface GuardOptions extends AddressRules {
  /** Only specs replace the system's resolver. */
  readonly resolve?: Resolve | undefined
  /** PEM certificates trusted in place of the system's. */
  readonly ca?: string | undefined
}

/** The connector of the dispatcher for origins reached directly. */
export function createGuardedConnector(options: GuardOptions): buildConnector.connector {
  const rules = options
  const connect = buildConnector({
    ...createTlsOptions(options.ca),
    lookup: guardedLookup(rules, options.resolve),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: addressAttemptMs,
  })
  return (options, callback) => {
    // Literal addresses never reach the lookup.
    const refusal = refuseHost(options.hostname, rules)
    if (refusal === null) connect(options, callback)
    else queueMicrotask(() => callback(refused(options.hostname, refusal), null))
  }
}

/** What every connection to an origin has in common, through a proxy or not. */
export function createTlsOptions(ca: string | undefined): buildConnector.BuildOptions {
  return {
    // One stream per connection: aborting is closing, backpressure is TCP's own, and one reset
    // connection takes one answer with it. HTTP/2 would put a hundred streams on one connection.
    allowH2: false,
    timeout: connectTimeoutMs,
    ...(ca === undefined ? {} : { ca }),
  }
}

/** A `lookup` for `net.connect`: forbidden addresses are dropped, and with none left it fails. */
export function guardedLookup(
  rules: AddressRules,
  resolve: Resolve = systemLookup,
): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        done(error, '', 0)
        return
      }
      const allowed = addresses.filter(({ address }) => refuseAddress(address, rules) === null)
      const [first] = allowed
      if (first === undefined) {
        const [worst] = addresses
        const reason = worst === undefined ? null : refuseAddress(worst.address, rules)
        done(refused(hostname, `at ${worst?.address}, ${reason ?? 'no address'}`), '', 0)
      } else if (options.all === true) {
        done(null, allowed)
      } else {
        done(null, first.address, first.family)
      }
    })
  }
}

/** For callers that connect by themselves; `hostname` may be an address. */
export function refused(hostname: string, reason: string): AddressRefused {
  return new AddressRefused(`the egress guard refuses ${hostname}: it is ${reason}`)
}

/** Long enough for a service on the same host or hypervisor, short enough not to hold up boot. */
const metadataProbeMs = 1_000

/**
 * Whether a cloud metadata service answers a TCP connection from this machine; boot warns when it
 * does. Never throws and sends nothing.
 */
export function metadataReachable(
  clock: Clock,
  host = '169.254.169.254',
  port = 80,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host, port })
    const settle = (reachable: boolean): void => {
      timer.cancel()
      socket.destroy()
      resolve(reachable)
    }
    const timer = clock.after(metadataProbeMs, () => settle(false))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}
