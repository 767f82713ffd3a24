/**
 * `listen`, `access_control`, `limits` and `timeouts`: the edge. Read by the configuration
 * loader, whose checked values the composition root hands to the parts of this folder.
 */
import { isHttpUrl } from '../schema/address.ts'
import { list } from '../schema/collection.ts'
import { convert } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required } from '../schema/field.ts'
import { form, text, wholeNumber } from '../schema/value.ts'
import { createNetworkSet } from './address.ts'

export interface ListenConfig {
  readonly host: string
  readonly port: number
  /** Without its trailing slash. Absent only on a loopback bind. */
  readonly public_url?: string | undefined
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  readonly trusted_proxies: readonly string[]
}

export interface EdgeConfig {
  readonly listen: ListenConfig
  readonly access_control: {
    readonly allow_cidrs: readonly string[]
    readonly deny_cidrs: readonly string[]
  }
  readonly limits: {
    readonly max_request_bytes: number
    readonly max_request_header_bytes?: number | undefined
    readonly max_url_length?: number | undefined
  }
  readonly timeouts: { readonly upstream_ttfb_ms: number }
}

const tls = block<NonNullable<ListenConfig['tls']>>({
  cert: required(text(), 'PEM file with the certificate of the listener and its chain.'),
  key: required(text(), 'PEM file with the private key of the listener.'),
})

const network = form(isNetwork, 'an IP address or a CIDR range such as 10.0.0.0/8')

const origin = form(
  isOrigin,
  'an http:// or https:// URL of a host alone: no path, query, fragment or user name',
)

const publicUrl = convert(origin, (url) => url.replace(/\/$/, ''))

const listen = block<ListenConfig>({
  host: defaulted(text(0), 'Address or name to bind.', '0.0.0.0'),
  port: defaulted(wholeNumber(0, 65_535), 'TCP port to bind; 0 takes any free one.', 8080),
  public_url: optional(publicUrl, 'Origin under which people and clients reach the gateway.'),
  tls: optional(tls, 'Serve HTTPS from these files; without it the listener speaks plain HTTP.'),
  trusted_proxies: defaulted(
    list(network),
    'Proxies whose X-Forwarded-For header tells the client address.',
    [],
  ),
})

const accessControl = block<EdgeConfig['access_control']>({
  allow_cidrs: defaulted(
    list(network),
    'Only these client addresses are served; an empty list admits everybody.',
    [],
  ),
  deny_cidrs: defaulted(
    list(network),
    'These client addresses are refused, whatever the allow list says.',
    [],
  ),
})

const limits = block<EdgeConfig['limits']>({
  max_request_bytes: defaulted(
    wholeNumber(1),
    'Largest request body in bytes; a larger one is answered 413.',
    33_554_432,
  ),
  max_request_header_bytes: optional(
    wholeNumber(1),
    'Largest header block in bytes, below the built-in 262144; a larger one is answered 431.',
  ),
  max_url_length: optional(
    wholeNumber(1),
    'Longest request URL in characters; a longer one is answered 414.',
  ),
})

const timeouts = block<EdgeConfig['timeouts']>({
  upstream_ttfb_ms: defaulted(
    wholeNumber(1),
    'Longest wait for the first byte of an upstream, in milliseconds.',
    120_000,
  ),
})

export const edgeKeys: Keys<EdgeConfig> = {
  listen: required(listen, 'Where the gateway listens and under which address it is reached.'),
  access_control: defaulted(accessControl, 'Which client addresses are served.', {}),
  limits: defaulted(limits, 'Bounds of a request.', {}),
  timeouts: defaulted(timeouts, 'Bounds of waiting.', {}),
}

function isNetwork(text: string): boolean {
  try {
    createNetworkSet([text])
    return true
  } catch {
    // Whatever it objects to, it is no network; the form expected says the rest.
    return false
  }
}

function isOrigin(text: string): boolean {
  const url = isHttpUrl(text) ? URL.parse(text) : null
  // A bare `?` or `#` leaves no trace in the parsed URL, but stays in what is put together of it.
  return url !== null && !/[?#@]/.test(text) && url.pathname === '/'
}
