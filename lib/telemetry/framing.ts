/**
 * Header names that belong to the connection (RFC 9110 section 7.6.1) or say how long and for
 * whom a message is. A configured one would contradict what is really sent, so it is left out;
 * the configuration check and the delivery agree on them here.
 */
const framing =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect)$/i

export function isFraming(name: string): boolean {
  return framing.test(name)
}
