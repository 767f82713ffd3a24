/**
 * Where the gateway is for a browser, and whether a form came from there. Only `public_url`
 * decides; without one (a loopback bind) the Host header does. Forwarded headers never do.
 */
import type { Exchange } from '../http/exchange.ts'
import { fail } from '../kernel/errors.ts'

export type OriginOf = (exchange: Exchange) => string

/** Host names, IPv4, bracketed IPv6, and a port; nothing that could break out of a URL. */
const hostForm = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** Without trailing slash. Throws `http/bad-request` when it hangs on a malformed Host. */
export function createOriginOf(public_url: string | undefined, tls: boolean): OriginOf {
  return ({ headers: { host = '' } }) => {
    if (public_url !== undefined) return public_url
    if (!hostForm.test(host)) return fail('http/bad-request')
    return `${tls ? 'https' : 'http'}://${host}`
  }
}

/**
 * Whether a form was sent by our own page. Browsers that send Sec-Fetch-Site are believed
 * (scripts cannot set it); older ones must send our exact origin. `none` is a person's own doing.
 */
export function isSameOrigin({ headers }: Pick<Exchange, 'headers'>, origin: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  return headers.origin === origin
}
