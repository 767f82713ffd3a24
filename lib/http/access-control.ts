/**
 * `access_control`: which client addresses are served at all. Deny beats allow and holds on every
 * path; an allow list leaves health probes alone, because platforms send them from anywhere.
 */
import { fail } from '../kernel/errors.ts'
import type { Audit, Log } from '../kernel/log.ts'
import { createNetworkSet } from './address.ts'
import type { ServedExchange } from './served-exchange.ts'

export interface AccessControl {
  /** Throws `access/forbidden` for a denied address. */
  refuseDenied(exchange: ServedExchange): void
  /** Throws `access/forbidden` for an address that a non-empty allow list does not name. */
  refuseNotAllowed(exchange: ServedExchange): void
}

export interface AccessOptions {
  readonly allow_cidrs: readonly string[]
  readonly deny_cidrs: readonly string[]
}

type Reason = 'ip_denylist' | 'ip_not_allowlisted' | 'xff_unparseable'

/** Enough of a forged header to recognise it by. */
const entryMaxLength = 64

export function createAccessControl(options: AccessOptions, audit: Audit): AccessControl {
  const denied = createNetworkSet(options.deny_cidrs)
  const allowed = createNetworkSet(options.allow_cidrs)
  const refuse = (exchange: ServedExchange, reason: Reason): never => {
    audit('access.denied', {
      request_id: exchange.requestId,
      reason,
      client_ip: exchange.clientAddress,
      entry:
        reason === 'xff_unparseable' ? exchange.unreadableHop?.slice(0, entryMaxLength) : undefined,
    })
    return fail('access/forbidden')
  }
  // With a list in force, an address that could not be read cannot be let through on the peer's.
  return {
    refuseDenied(exchange) {
      if (denied.empty) return
      if (denied.has(exchange.clientAddress)) refuse(exchange, 'ip_denylist')
      if (exchange.unreadableHop !== null) refuse(exchange, 'xff_unparseable')
    },
    refuseNotAllowed(exchange) {
      if (allowed.empty) return
      if (exchange.unreadableHop !== null) refuse(exchange, 'xff_unparseable')
      if (!allowed.has(exchange.clientAddress)) refuse(exchange, 'ip_not_allowlisted')
    },
  }
}

/** Addresses that the internet does not route. */
const privateNetworks = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10', // shared address space of carriers and meshes, RFC 6598
  '127.0.0.0/8',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10',
]

/**
 * Says once per process that a client on a public address reaches the gateway, which is built to
 * stand behind a company's network.
 */
export function createPublicClientNotice(
  audit: Audit,
  log: Log,
): (exchange: ServedExchange) => void {
  const inside = createNetworkSet(privateNetworks)
  let said = false
  let lastInside = ''
  return (exchange) => {
    const { clientAddress } = exchange
    if (said || clientAddress === lastInside) return
    if (inside.has(clientAddress)) {
      lastInside = clientAddress
      return
    }
    said = true
    audit('access.public_client', { request_id: exchange.requestId, client_ip: clientAddress })
    log.warn(
      `a client on the public address ${clientAddress} reached the gateway; ` +
        `restrict it with access_control.allow_cidrs or a network rule if that is not meant`,
    )
  }
}
