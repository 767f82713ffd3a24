/**
 * The little of a browser that sign-in needs: cookies per origin, redirects followed step by
 * step, forms posted from the page's own site. For flows without Chromium.
 */

export interface HeadlessBrowser {
  /** One request, redirects not followed. */
  fetch(url: string, init?: RequestInit): Promise<Response>
  /** Follows redirects until the answer is none, or the next address begins with `stopAt`. */
  follow(url: string, stopAt?: string): Promise<{ url: string; response: Response | null }>
  /** Posts a form as its own page would. */
  post(url: string, form: Readonly<Record<string, string>>): Promise<Response>
  /** Cookies of one origin, by name. */
  cookies(origin: string): Map<string, string>
}

/** More than any sign-in needs; a loop ends here. */
const redirectsMax = 12

/** `send` is the way to servers: another one knows other names and authorities. */
export function createHeadlessBrowser(send: typeof fetch = fetch): HeadlessBrowser {
  const jars = new Map<string, Map<string, string>>()
  const jarOf = (origin: string): Map<string, string> => {
    const jar = jars.get(origin) ?? new Map<string, string>()
    jars.set(origin, jar)
    return jar
  }
  const browser: HeadlessBrowser = {
    cookies: jarOf,
    async fetch(url, init = {}) {
      const jar = jarOf(new URL(url).origin)
      const headers = new Headers(init.headers)
      if (jar.size > 0) {
        headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
      }
      const response = await send(url, { ...init, headers, redirect: 'manual' })
      for (const cookie of response.headers.getSetCookie()) {
        const [pair = '', ...attributes] = cookie.split('; ')
        const name = pair.slice(0, pair.indexOf('='))
        if (attributes.some((attribute) => attribute.toLowerCase() === 'max-age=0')) {
          jar.delete(name)
        } else {
          jar.set(name, pair.slice(name.length + 1))
        }
      }
      return response
    },
    async follow(start, stopAt) {
      let url = start
      for (let hops = 0; hops < redirectsMax; hops++) {
        if (stopAt !== undefined && url.startsWith(stopAt)) return { url, response: null }
        const response = await browser.fetch(url)
        const location = response.headers.get('location')
        if (location === null) return { url, response }
        await response.body?.cancel()
        url = new URL(location, url).href
      }
      throw new Error(`more than ${redirectsMax} redirects from ${start}`)
    },
    post(url, form) {
      return browser.fetch(url, {
        method: 'POST',
        headers: { origin: new URL(url).origin, 'sec-fetch-site': 'same-origin' },
        body: new URLSearchParams(form),
      })
    },
  }
  return browser
}
