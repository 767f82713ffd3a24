/** Attacks on sign-in over real HTTP, each of which must come to nothing. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, afterEach, test } from 'node:test'
import { send, type ClientReply } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { freePort, startGateway, type GatewayProcess } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const generous = {
  rate_limits: { device_authorization: { max: 1000 }, device_verify: { max: 1000 } },
}
const start = (config: Record<string, unknown> = {}): Promise<GatewayProcess> =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: 'http://127.0.0.1:9',
      config: { ...generous, ...config },
    },
  )
const gateway = await start()

afterEach(() => provider.rewriteClaims(null))

const post = (
  url: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<ClientReply> =>
  send(url, {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

interface Begun {
  readonly device_code: string
  readonly user_code: string
}

const begin = async (url = gateway.url): Promise<Begun> =>
  JSON.parse((await post(`${url}/oauth/device_authorization`, {})).body)

const poll = (device_code: string): Promise<ClientReply> =>
  post(`${gateway.url}/oauth/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code,
  })

/** The page at the end of a sign-in. */
async function finish({ user_code }: Begun): Promise<Response> {
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${gateway.url}/device`, { user_code })
  const callback = `${gateway.url}/oauth/callback`
  const { url } = await browser.follow(reply.headers.get('location') ?? '', callback)
  return browser.fetch(url)
}

const ownPage = { 'sec-fetch-site': 'same-origin' }

test('attack: no parameter, path or host sends a browser anywhere but to the provider', async () => {
  const evil = 'https://evil.example/x'
  const names = ['redirect_uri', 'redirect', 'next', 'return_to', 'continue', 'url', 'target']
  const lures = Object.fromEntries(names.map((name) => [name, evil]))
  const query = new URLSearchParams(lures).toString()
  const paths = [
    ...['/', '/device', '/device/deny', '/oauth/callback', '/protocol', '/healthz'].map(
      (path) => `${path}?${query}`,
    ),
    '//evil.example',
    '//evil.example/device',
    '/\\evil.example',
    '/%2f%2fevil.example',
    '/device//evil.example/%2e%2e',
    '/oauth/callback/https://evil.example',
  ]
  for (const path of paths) {
    const { status, headers } = await send(`${gateway.url}${path}`)
    assert.equal(headers.location, undefined, path)
    assert.ok(status < 300 || status >= 400, `${path} ${status}`)
  }
  const { user_code } = await begin()
  const form = { user_code, ...lures }
  const { status, headers } = await post(`${gateway.url}/device?${query}`, form, {
    ...ownPage,
    'x-forwarded-host': 'evil.example',
    forwarded: 'host=evil.example',
    host: 'evil.example',
  })
  assert.equal(status, 302)
  const location = new URL(headers.location ?? '')
  assert.equal(location.origin, provider.issuer)
  assert.equal(location.searchParams.get('redirect_uri'), `${gateway.url}/oauth/callback`)
  assert.doesNotMatch(location.href, /evil/)
})

test('attack: guessing codes is over after ten, whatever addresses are claimed', async () => {
  await database.query(`DELETE FROM kv WHERE key LIKE 'rl:%'`)
  const port = await freePort()
  const public_url = `http://localhost:${port}`
  await start({
    listen: { host: '127.0.0.1', port, public_url, trusted_proxies: ['127.0.0.1'] },
    rate_limits: { device_verify: { max: 10 } },
  })
  const guess = async (user_code: string, forwarded: string): Promise<ClientReply> =>
    post(`${public_url}/device`, { user_code }, { ...ownPage, 'x-forwarded-for': forwarded })
  const { user_code } = await begin(public_url)
  for (let tried = 1; tried <= 10; tried++) {
    // The proxy wrote the last address; those before are the guesser's own words.
    const { body } = await guess('BBBB-BBBB', `10.1.1.${tried}, 203.0.113.9`)
    assert.match(body, /not known or has expired/)
  }
  const right = await guess(user_code, '10.9.9.9, 203.0.113.9')
  assert.equal(right.status, 200)
  assert.match(right.body, /Too many attempts/)
  assert.equal((await guess(user_code, '203.0.113.10')).status, 302, 'others are not locked out')
})

test('attack: what is reflected from posts and headers stays text', async () => {
  const odd = `"'><script>x</script><img src=x>\r\nSet-Cookie: a=b\r\n\r\n<h1>\u202E\u2028\u0000`
  const checked = ({ status, headers, body, rawHeaders }: ClientReply, what: string): void => {
    assert.ok(status < 500, `${what} ${status}`)
    assert.equal(headers['set-cookie'], undefined, what)
    assert.doesNotMatch(rawHeaders.join('\n'), /script|a=b/, what)
    assert.doesNotMatch(body, /<script>x|<img|<h1>\u202E/, what)
  }
  for (const path of ['/device', '/device/deny', '/oauth/token', '/oauth/revoke']) {
    const form = { user_code: odd, token: odd, device_code: odd, refresh_token: odd }
    for (const grant_type of [odd, 'urn:ietf:params:oauth:grant-type:device_code']) {
      const reply = await post(`${gateway.url}${path}`, { ...form, grant_type }, ownPage)
      checked(reply, path)
    }
  }
  const header = `"><script>x</script>`
  for (const name of ['x-request-id', 'x-client-request-id', 'user-agent', 'x-forwarded-for']) {
    for (const path of ['/', '/device', '/oauth/token', '/v1/messages']) {
      checked(await send(`${gateway.url}${path}`, { headers: { [name]: header } }), name)
    }
  }
  const email = `a${odd}@example.com`
  provider.rewriteClaims((claims) => ({ ...claims, email, name: odd }))
  const begun = await begin()
  const page = await finish(begun)
  assert.doesNotMatch(await page.text(), /<script>x|<img/)
  assert.equal(JSON.parse((await poll(begun.device_code)).body).email, email, 'JSON keeps it')
  await gateway.audit('session.mint', (line) => line['email'] === email)
  assert.equal(gateway.lines.filter((line) => line.startsWith('Set-Cookie')).length, 0)
})

test('attack: claims of a size nobody has end in a page, and cost nobody else anything', async () => {
  for (const [what, change] of [
    ['a name of 100 KB', { name: 'n'.repeat(100_000) }],
    ['a million characters of groups', { groups: Array(10_000).fill('g'.repeat(100)) }],
    ['an answer of 3 MB', { padding: 'p'.repeat(3_000_000) }],
    ['nesting', { groups: JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`) }],
  ] as const) {
    provider.rewriteClaims((claims) => ({ ...claims, ...change }))
    const page = await finish(await begin())
    assert.ok(page.status < 500, what)
    await page.body?.cancel()
    provider.rewriteClaims(null)
    const begun = await begin()
    assert.match(await (await finish(begun)).text(), /You are signed in/, `after ${what}`)
    assert.equal((await poll(begun.device_code)).status, 200)
  }
})

test('attack: a thousand bodies that never end keep nobody from signing in', async () => {
  const endpoints = ['/oauth/token', '/oauth/revoke', '/device', '/device/deny']
  const sockets: Socket[] = []
  after(() => sockets.forEach((socket) => socket.destroy()))
  for (let count = 0; count < 1000; count++) {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.on('error', () => {})
    const path = endpoints[count % endpoints.length]
    const type = 'Content-Type: application/x-www-form-urlencoded'
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: a\r\n${type}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 900\r\n\r\nuser_`,
    )
    sockets.push(socket)
  }
  const begun = await begin()
  assert.match(await (await finish(begun)).text(), /You are signed in/)
  assert.equal((await poll(begun.device_code)).status, 200)
  assert.equal((await send(`${gateway.url}/readyz`)).status, 200)
})
