/** Sign-in while the database is stopped or hangs: answered soon, never pretended, back by itself. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send, type ClientReply } from '../support/client.ts'
import { createDatabase, startServer } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const server = await startServer({ after })
const database = await createDatabase({ after }, server.url)
const provider = await startIdentityProvider({ after })
const gateway = await startGateway(
  { after },
  { postgresUrl: database.url, issuer: provider.issuer, upstream: 'http://127.0.0.1:9' },
)

/** The promise is three seconds; the rest is for a machine that is busy with other specs. */
const patienceMs = 6000

async function timed(work: () => Promise<ClientReply>): Promise<ClientReply> {
  const startedAt = performance.now()
  const reply = await work()
  const tookMs = performance.now() - startedAt
  assert.ok(tookMs < patienceMs, `answered after ${tookMs.toFixed(0)} ms`)
  return reply
}

const post = (path: string, form: Record<string, string>): Promise<ClientReply> =>
  timed(() =>
    send(`${gateway.url}${path}`, {
      body: new URLSearchParams(form).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
      },
    }),
  )
const poll = (device_code: string): Promise<ClientReply> =>
  post('/oauth/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code })

interface UnderWay {
  readonly deviceCode: string
  readonly userCode: string
  readonly back: string
  readonly browser: ReturnType<typeof createHeadlessBrowser>
}

/** A sign-in up to the provider's answer, which is still to be brought back. */
async function underWay(): Promise<UnderWay> {
  const { body } = await post('/oauth/device_authorization', {})
  const { device_code: deviceCode, user_code: userCode } = JSON.parse(body)
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${gateway.url}/device`, { user_code: userCode })
  const callback = `${gateway.url}/oauth/callback`
  const { url: back } = await browser.follow(reply.headers.get('location') ?? '', callback)
  return { deviceCode, userCode, back, browser }
}

async function refreshToken(): Promise<string> {
  const { deviceCode, back, browser } = await underWay()
  await browser.fetch(back)
  return JSON.parse((await poll(deviceCode)).body).refresh_token
}

const outages = [
  { name: 'hangs', begin: async () => server.hang(), end: async () => server.resume() },
  { name: 'is stopped', begin: () => server.stop(), end: () => server.restart() },
]
for (const outage of outages) {
  test(`outage: while the database ${outage.name}, sign-in answers 503 with a wait`, async () => {
    const refresh_token = await refreshToken()
    const { deviceCode, userCode, back, browser } = await underWay()
    const token = sessionToken(gateway.url, { jti: outage.name })
    await outage.begin()
    try {
      for (const reply of await Promise.all([
        post('/oauth/device_authorization', {}),
        poll(deviceCode),
        post('/oauth/revoke', { token }),
      ])) {
        assert.equal(reply.status, 503)
        assert.equal(reply.body, '{"error":"temporarily_unavailable"}')
        assert.equal(reply.headers['retry-after'], '5')
      }
      for (const path of ['/device', '/device/deny']) {
        const page = await post(path, { user_code: userCode })
        assert.equal(page.status, 503)
        assert.equal(page.headers['retry-after'], '5')
        assert.match(page.body, /not available right now/)
      }
      const { status } = await send(`${gateway.url}/v1/models`, { token })
      assert.equal(status, 200, 'what was not ended goes on')
      const page = await timed(() => send(`${gateway.url}/device?user_code=${userCode}`))
      assert.equal(page.status, 200, 'the page itself needs no database')
      const held = await browser.fetch(back)
      assert.equal(held.status, 503)
      const renewed = await post('/oauth/token', { grant_type: 'refresh_token', refresh_token })
      assert.equal(renewed.status, 200, 'a refresh needs no database')
    } finally {
      await outage.end()
    }
    // The same link, the same code: nothing was lost, nothing was used up.
    const until = Date.now() + 20_000
    let text = ''
    while (!text.includes('You are signed in')) {
      assert.ok(Date.now() < until, text)
      text = await (await browser.fetch(back)).text()
    }
    assert.equal((await poll(deviceCode)).status, 200)
    assert.equal((await post('/oauth/revoke', { token })).status, 200)
    assert.equal((await send(`${gateway.url}/v1/models`, { token })).status, 401)
  })
}
