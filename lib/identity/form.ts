/**
 * Form bodies of the sign-in routes, which strangers may post to: small, of the one media type
 * that browsers and OAuth clients use, first value of a repeated field.
 */
import type { Exchange } from '../http/exchange.ts'

/** Refresh tokens of some providers are several kB; nothing else here is long. */
const formBytesMax = 64 * 1024

/** Null when the body is no form or too long for one; one that says it is long is not even read. */
export async function readForm(exchange: Exchange): Promise<URLSearchParams | null> {
  const { 'content-type': type = '', 'content-length': length = '0' } = exchange.headers
  const mediaType = type.split(';', 1).join().trim().toLowerCase()
  if (mediaType !== 'application/x-www-form-urlencoded') return null
  if (Number(length) > formBytesMax) return null
  const body = await exchange.readBody()
  // One in chunks does not say its length; taking it apart would hold everybody up.
  if (body.length > formBytesMax) return null
  return new URLSearchParams(new TextDecoder().decode(body))
}
