/**
 * From a request target as sent (RFC 9112 section 3.2) to the path that routes are matched on and
 * the query as sent. Almost every target is plain, and a `URL` object is made only for the rest.
 */

export interface Target {
  readonly path: string
  /** With its leading `?`; empty when there is none. */
  readonly query: string
}

/** Origin form that URL parsing leaves as it is: no dot, no escape, nothing it would encode. */
const plain = /^\/[\w\-~!$&'()*+,;=:@/]*$/

/** Null when no URL parser would take the target. */
export function parseTarget(target: string): Target | null {
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  if (plain.test(path))
    return { path, query: mark === -1 ? '' : withoutFragment(target.slice(mark)) }
  if (target === '*') return { path: target, query: '' } // OPTIONS *, RFC 9112 section 3.2.4
  // Authority first, so that `//healthz` stays a path and cannot become a host.
  const url = URL.parse(target.startsWith('/') ? `http://gateway${target}` : target)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null
  const whole = withoutFragment(target)
  const from = whole.indexOf('?')
  return { path: url.pathname, query: from === -1 ? '' : whole.slice(from) }
}

function withoutFragment(text: string): string {
  const hash = text.indexOf('#')
  return hash === -1 ? text : text.slice(0, hash)
}
