/**
 * Addresses as an operator writes them: URLs, IP ranges, and the hosts no outbound call may name.
 * Literal forms only: what a name resolves to is the egress guard's business at run time.
 */
import { isIP } from 'node:net'
import * as v from 'valibot'
import { type Schema, value } from './field.ts'

/** An IP address or CIDR; bits right of the prefix are allowed. */
export const network: Schema<string> = value(v.pipe(v.string(), v.check(isNetwork)), {
  expected: 'an IP address or a CIDR range such as 10.0.0.0/8',
})

/** An absolute http:// or https:// URL, kept as written. */
export const httpUrl: Schema<string> = value(
  v.pipe(
    v.string(),
    v.check((text) => hasScheme(text, 'http:', 'https:')),
  ),
  { expected: 'an http:// or https:// URL' },
)

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : 0
  if (bits === 0 || rest.length > 0 || address.includes('%')) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
}

function hasScheme(text: string, ...schemes: readonly string[]): boolean {
  const url = URL.parse(text)
  return url !== null && schemes.includes(url.protocol) && url.hostname !== ''
}
