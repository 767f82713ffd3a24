/**
 * The demo proves itself: a sample person signs in through the real device flow, as a client and
 * a browser would, and asks one question whose answer is shown as it streams in.
 */
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** Redirects between gateway and provider; a sign-in takes five. */
const redirectsMax = 12

export interface SignedIn {
  readonly access_token: string
  readonly expires_in: number
  readonly email: string | undefined
}

/** What a browser would show and keep: follows redirects, remembers cookies, posts forms. */
function createBrowser() {
  const jar = new Map<string, string>()
  const fetchPage = async (
    url: string,
    form?: Record<string, string>,
  ): Promise<[string, string]> => {
    let next = url
    let body = form === undefined ? undefined : new URLSearchParams(form)
    for (let hop = 0; hop < redirectsMax; hop++) {
      const origin = new URL(next).origin
      const response = await fetch(next, {
        method: body === undefined ? 'GET' : 'POST',
        redirect: 'manual',
        headers: {
          cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(body === undefined ? {} : { origin }),
        },
        ...(body === undefined ? {} : { body }),
      })
      for (const line of response.headers.getSetCookie()) {
        const [pair = ''] = line.split(';')
        jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
      }
      const location = response.headers.get('location')
      if (location === null) return [next, await response.text()]
      next = new URL(location, next).href
      body = undefined
    }
    throw new Error(`more than ${redirectsMax} redirects from ${url}`)
  }
  return fetchPage
}

/** Signs `person` in; throws with what the gateway answered when a step is refused. */
export async function signIn(gateway: string, person: string): Promise<SignedIn> {
  const started = await fetch(`${gateway}/oauth/device_authorization`, {
    method: 'POST',
    body: new URLSearchParams({ surface: 'demo' }),
  })
  const grant: unknown = await started.json()
  const browse = createBrowser()
  const userCode = field(grant, 'user_code')
  const [choicePage] = await browse(`${gateway}/device`, { user_code: userCode })
  await browse(choicePage, { person })
  const redeemed = await fetch(`${gateway}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: field(grant, 'device_code'),
    }),
  })
  const token: unknown = await redeemed.json()
  if (!redeemed.ok) throw new Error(`the sign-in failed: ${JSON.stringify(token)}`)
  return {
    access_token: field(token, 'access_token'),
    expires_in: Number(field(token, 'expires_in')),
    email: isRecord(token) && typeof token['email'] === 'string' ? token['email'] : undefined,
  }
}

/** Streams one answer, handing each piece of text to `show` as it comes. */
export async function ask(
  gateway: string,
  token: string,
  model: string,
  question: string,
  show: (text: string) => void,
): Promise<void> {
  const body = JSON.stringify({
    model,
    max_tokens: 200,
    stream: true,
    messages: [{ role: 'user', content: question }],
  })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(`${gateway}/v1/messages`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'anthropic-version': '2023-06-01',
      },
    })
    sent.on('response', resolve)
    sent.on('error', reject)
    sent.end(body)
  })
  let rest = ''
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    if (response.statusCode !== 200) continue
    for (const line of lines) show(textOf(line))
  }
  if (response.statusCode !== 200)
    throw new Error(`the gateway answered ${response.statusCode}: ${rest}`)
}

/** The text of a `content_block_delta` line, else nothing. */
function textOf(line: string): string {
  if (!line.startsWith('data: ') || !line.includes('"text_delta"')) return ''
  const data: unknown = JSON.parse(line.slice('data: '.length))
  if (!isRecord(data) || !isRecord(data['delta'])) return ''
  const { text } = data['delta']
  return typeof text === 'string' ? text : ''
}

/** Resolves when `url` answers 200. */
export async function waitFor(url: string, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs
  while (performance.now() < until) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 200) return
    await delay(50)
  }
  throw new Error(`${url} did not answer within ${patienceMs / 1000} s`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function field(value: unknown, name: string): string {
  const found = isRecord(value) ? value[name] : undefined
  if (typeof found !== 'string' && typeof found !== 'number') {
    throw new Error(`the gateway's answer has no ${name}: ${JSON.stringify(value)}`)
  }
  return String(found)
}
