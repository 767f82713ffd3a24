/**
 * Hundreds of people at once on two replicas, each doing something else wrong: whatever the
 * order of events, a grant gives at most one token, only when it was approved, and leaves
 * nothing behind.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send, type ClientReply } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createRandom } from '../support/random.ts'

const people = 600
const atOnce = 30

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const start = (listen?: object) =>
  startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: 'http://127.0.0.1:9',
      config: {
        rate_limits: { device_authorization: { max: 1e6 }, device_verify: { max: 1e6 } },
        ...(listen && { listen }),
      },
    },
  )
const first = await start()
const other = await start({ host: '127.0.0.1', port: 0, public_url: first.url })
const listening = await other.line(/listening on http/)
const secondUrl = `http://127.0.0.1:${/http:\/\/\S+:(\d+)/.exec(listening)?.[1]}`

const post = (url: string, form: Record<string, string>): Promise<ClientReply> =>
  send(url, {
    body: new URLSearchParams(form).toString(),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'same-origin',
    },
  })

test('soak: no order of approving, denying, replaying and polling gives a second token', async () => {
  const random = createRandom()
  const seed = `GATEWAY_TEST_SEED=${random.seed}`
  const replica = (): string => random.pick([first.url, secondUrl])
  const outcomes = new Map<string, number>()
  let next = 0
  const person = async (): Promise<void> => {
    while (next++ < people) {
      const outcome = await oneSignIn()
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }

  async function oneSignIn(): Promise<string> {
    const begun = await post(`${replica()}/oauth/device_authorization`, {})
    const { device_code, user_code } = JSON.parse(begun.body)
    const poll = (): Promise<ClientReply> =>
      post(`${replica()}/oauth/token`, {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code,
      })
    const browser = createHeadlessBrowser()
    const approved = await browser.post(`${first.url}/device`, { user_code })
    const callback = `${first.url}/oauth/callback`
    const { url: back } = await browser.follow(approved.headers.get('location') ?? '', callback)
    const cookie = `gw_dev=${browser.cookies(first.url).get('gw_dev')}`
    const finish = (): Promise<ClientReply> =>
      send(back.replace(first.url, replica()), { headers: { cookie } })
    const deny = (): Promise<ClientReply> => post(`${replica()}/device/deny`, { user_code })

    // Everything that may happen at once does, in an order nobody chose.
    const wild = [finish, finish, poll, poll, deny].filter(() => random.chance(60))
    const replies = await Promise.all(wild.map((act) => act()))
    if (!wild.includes(finish) && !wild.includes(deny)) replies.push(await finish())
    const polls = await Promise.all(Array.from({ length: 6 }, poll))
    const bodies = [...replies, ...polls].map(({ body }) => body)
    const tokens = bodies.filter((body) => body.startsWith('{"access_token"')).length
    const denials = bodies.filter((body) => body.includes('access_denied')).length
    const wins = bodies.filter((body) => body.includes('You are signed in')).length
    assert.equal(tokens + denials, 1, `${seed}: ${tokens} tokens, ${denials} denials`)
    assert.equal(tokens, wins, `${seed}: ${wins} pages said "signed in"`)
    assert.ok(
      [...replies, ...polls].every(({ status }) => status < 500),
      `${seed}`,
    )
    return tokens === 1 ? 'signed in' : 'denied'
  }

  await Promise.all(Array.from({ length: atOnce }, person))
  assert.ok((outcomes.get('signed in') ?? 0) > people / 10, JSON.stringify([...outcomes]))
  assert.ok((outcomes.get('denied') ?? 0) > people / 10, JSON.stringify([...outcomes]))
  const left = await database.query(`SELECT key FROM kv WHERE key ~ '^device:(uc|dc):'`)
  assert.deepEqual(left, [])
})
