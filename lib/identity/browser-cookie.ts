/**
 * The cookie that ties a sign-in to the browser it was approved in (RFC 6265). It holds a random
 * value for ten minutes and means nothing without the sealed state.
 */
import type { Exchange } from '../http/exchange.ts'

export interface BrowserCookie {
  set(value: string): readonly [string, string]
  clear(): readonly [string, string]
  /** All values under the name: a browser may hold two, and the older one must not lock it out. */
  read(exchange: Pick<Exchange, 'headers'>): readonly string[]
}

/** As long as a grant lives. */
const maxAgeSeconds = 600

/** `secure`: people reach the gateway by https, whoever terminates it. */
export function createBrowserCookie(secure: boolean): BrowserCookie {
  const name = secure ? '__Host-gw_dev' : 'gw_dev'
  const write = (value: string, maxAge: number): readonly [string, string] => [
    'set-cookie',
    `${name}=${value}; Max-Age=${maxAge}; HttpOnly; SameSite=Lax; Path=/${secure ? '; Secure' : ''}`,
  ]
  return {
    set: (value) => write(value, maxAgeSeconds),
    clear: () => write('', 0),
    read: ({ headers }) =>
      (headers.cookie ?? '')
        .split(';')
        .map((pair) => pair.trim())
        .filter((pair) => pair.startsWith(`${name}=`))
        .map((pair) => pair.slice(name.length + 1))
        .filter((value) => value !== ''),
  }
}
