/**
 * Two replicas behind the proxies of `deploy/`, as their example files have them: TLS at the
 * proxy, the whole sign-in against a real OpenID provider, streams, client addresses, a replica
 * that leaves.
 */
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { after, test } from 'node:test'
import { createAuthority } from '../support/certificates.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { freePort, startGateway, type GatewayProcess } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createNamedFetch } from '../support/named-fetch.ts'
import { startProxy } from '../support/reverse-proxy.ts'
import { findTool } from '../support/tools.ts'

const hostname = 'gw.example.com'
const publicUrl = `https://${hostname}`
/** On one machine: the proxy connects from the first, people come from the others. */
const [proxyAddress, developer, outsider] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const
const claimant = '127.0.0.4'

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const authority = createAuthority({ after })
const pair = authority.issue(`DNS:${hostname}`)

interface Deployment {
  readonly port: number
  readonly replicas: readonly GatewayProcess[]
  /** Requests as they come from a machine with this address. */
  from(address: string): typeof fetch
}

async function startReplica(port: number): Promise<GatewayProcess> {
  return startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: upstream.url,
      config: {
        listen: {
          host: '127.0.0.1',
          port,
          public_url: publicUrl,
          trusted_proxies: [proxyAddress],
        },
        access_control: { deny_cidrs: [outsider] },
        rate_limits: { device_authorization: { max: 1000 }, device_verify: { max: 1000 } },
      },
    },
  )
}

async function deploy(program: 'nginx' | 'haproxy'): Promise<Deployment> {
  const [port, one, two] = [await freePort(), await freePort(), await freePort()]
  const replicas = [await startReplica(one), await startReplica(two)]
  await startProxy({ after }, program, {
    port,
    gateways: [one, two],
    cert: pair.cert + authority.intermediate,
    key: pair.key,
  })
  return {
    port,
    replicas,
    from: (address) =>
      createNamedFetch({ after }, { hostname, port, ca: authority.root, from: address }),
  }
}

/** The first audit line of any replica that fits, already written or still to come. */
const audit = (
  { replicas }: Deployment,
  event: string,
  accepts: (line: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> =>
  Promise.any(replicas.map((replica) => replica.audit(event, accepts)))

const form = { 'content-type': 'application/x-www-form-urlencoded' }

async function begin(send: typeof fetch, headers = {}): Promise<Record<string, unknown>> {
  const answer = await send(`${publicUrl}/oauth/device_authorization`, {
    method: 'POST',
    headers: { ...form, ...headers },
    body: 'surface=claude_code',
  })
  assert.equal(answer.status, 200)
  return JSON.parse(await answer.text())
}

/** From the code to the token, every step through the proxy; returns the token answer. */
async function signIn(send: typeof fetch): Promise<Record<string, unknown>> {
  const { device_code, user_code, verification_uri } = await begin(send)
  assert.equal(verification_uri, `${publicUrl}/device`)
  const browser = createHeadlessBrowser(send)
  const page = await browser.fetch(`${publicUrl}/device?user_code=${String(user_code)}`)
  assert.match(await page.text(), new RegExp(String(user_code)))
  const sent = await browser.post(`${publicUrl}/device`, { user_code: String(user_code) })
  assert.equal(sent.status, 302)
  // Only a browser that spoke TLS to this very name keeps such a cookie.
  assert.match(sent.headers.getSetCookie().join(), /^__Host-gw_dev=[^;]+;.*Secure/)
  const callback = `${publicUrl}/oauth/callback`
  const back = await browser.follow(sent.headers.get('location') ?? '', callback)
  const done = await browser.fetch(back.url)
  assert.match(await done.text(), /You are signed in/)
  const polled = await send(`${publicUrl}/oauth/token`, {
    method: 'POST',
    headers: form,
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(device_code),
    }).toString(),
  })
  const answer = await polled.text()
  assert.equal(polled.status, 200, answer)
  return JSON.parse(answer)
}

function ask(send: typeof fetch, token: unknown, stream: boolean): Promise<Response> {
  return send(`${publicUrl}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${String(token)}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'claude-sonnet-4-6',
      max_tokens: 10,
      stream,
      messages: [{ role: 'user', content: 'hi' }],
    }),
  })
}

const eventText = (name: string): string => `event: ${name}\ndata: {"type":"${name}"}\n\n`

// Both stand before the first test is known: between tests the runner would take a wait for the end.
const programs = ['nginx', 'haproxy'] as const
const deployments: (Deployment | null)[] = []
for (const program of programs) {
  deployments.push(findTool(program, '-v').skip === false ? await deploy(program) : null)
}

for (const [index, program] of programs.entries()) {
  const tool = findTool(program, '-v')
  const ready = (): Deployment => {
    const deployed = deployments[index]
    assert.ok(deployed !== undefined && deployed !== null)
    return deployed
  }

  test(
    `behind ${program}: people sign in over TLS, whichever replica answers each step`,
    tool,
    async () => {
      const deployment = ready()
      const send = deployment.from(developer)
      const tokens = []
      for (let i = 0; i < 3; i++) tokens.push((await signIn(send))['access_token'])
      for (const replica of deployment.replicas) {
        assert.ok(replica.audits('device.authorize').length > 0, 'a replica was never asked')
      }
      const models = await send(`${publicUrl}/v1/models`, {
        headers: { authorization: `Bearer ${String(tokens[0])}` },
      })
      assert.equal(models.status, 200)
      const { issuer } = JSON.parse(
        await (await send(`${publicUrl}/.well-known/oauth-authorization-server`)).text(),
      )
      assert.equal(issuer, publicUrl)
    },
  )

  test(
    `behind ${program}: the audit has the developer's address, whatever their client claims`,
    tool,
    async () => {
      const deployment = ready()
      const claims = {
        'x-forwarded-for': '203.0.113.9, 198.51.100.7',
        forwarded: 'for=203.0.113.9',
        'x-real-ip': '203.0.113.9',
      }
      await begin(deployment.from(claimant), claims)
      await audit(deployment, 'device.authorize', ({ client_ip }) => client_ip === claimant)
      const lines = deployment.replicas.flatMap((replica) => replica.audits('device.authorize'))
      for (const { client_ip } of lines)
        assert.ok(client_ip === claimant || client_ip === developer)
    },
  )

  test(
    `behind ${program}: an address on the deny list is refused, and claiming another does not help`,
    tool,
    async () => {
      const deployment = ready()
      for (const headers of [{}, { 'x-forwarded-for': developer }]) {
        const refused = await deployment.from(outsider)(`${publicUrl}/v1/models`, { headers })
        assert.equal(refused.status, 403)
      }
      await audit(deployment, 'access.denied', ({ client_ip }) => client_ip === outsider)
    },
  )

  test(`behind ${program}: an event leaves while the model still thinks`, tool, async () => {
    const deployment = ready()
    const send = deployment.from(developer)
    const { access_token } = await signIn(send)
    const pauseMs = 2_000
    upstream.next({
      headers: ['content-type', 'text/event-stream'],
      body: [eventText('message_start'), { waitMs: pauseMs }, eventText('message_stop')],
    })
    const answer = await ask(send, access_token, true)
    assert.equal(answer.status, 200)
    const arrivals: { readonly text: string; readonly at: number }[] = []
    const decoder = new TextDecoder()
    for await (const chunk of answer.body ?? []) {
      arrivals.push({ text: decoder.decode(chunk), at: performance.now() })
    }
    const all = arrivals.map(({ text }) => text).join('')
    assert.equal(all, eventText('message_start') + eventText('message_stop'))
    const last = arrivals.at(-1)
    assert.match(arrivals[0]?.text ?? '', /message_start/)
    assert.doesNotMatch(arrivals[0]?.text ?? '', /message_stop/)
    // Buffered, both would have come together.
    assert.ok((last?.at ?? 0) - (arrivals[0]?.at ?? 0) > pauseMs / 2)
  })

  test(`behind ${program}: a client that speaks HTTP/2 to the proxy is served`, tool, async () => {
    const deployment = ready()
    const { port } = deployment
    const { access_token } = await signIn(deployment.from(developer))
    upstream.next({ body: '{"input_tokens":3}' })
    const session = connectHttp2(`https://${hostname}:${port}`, {
      ca: authority.root,
      servername: hostname,
      lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }], 4),
    })
    after(() => session.destroy())
    const body = JSON.stringify({
      model: 'claude-sonnet-4-6',
      messages: [{ role: 'user', content: 'hi' }],
    })
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/messages/count_tokens',
      ':authority': hostname,
      authorization: `Bearer ${String(access_token)}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    const answered = new Promise<unknown>((resolve, reject) => {
      stream.on('response', (headers) => resolve(headers[':status']))
      stream.on('error', reject)
    })
    stream.end(body)
    assert.equal(await answered, 200)
    session.destroy()
  })

  test(
    `behind ${program}: a replica that is told to stop finishes its streams, and nobody is refused`,
    tool,
    async () => {
      const deployment = ready()
      const send = deployment.from(developer)
      const { access_token } = await signIn(send)
      upstream.always({
        headers: ['content-type', 'text/event-stream'],
        body: [eventText('message_start'), { waitMs: 1_500 }, eventText('message_stop')],
      })
      const streams = await Promise.all(
        Array.from({ length: 4 }, () => ask(send, access_token, true)),
      )
      const [first] = deployment.replicas
      first?.kill('SIGTERM')
      for (let i = 0; i < 20; i++) {
        const models = await send(`${publicUrl}/v1/models`, {
          headers: { authorization: `Bearer ${String(access_token)}` },
        })
        assert.equal(models.status, 200, `request ${i}`)
        await models.text()
      }
      for (const stream of streams) {
        assert.equal(await stream.text(), eventText('message_start') + eventText('message_stop'))
      }
      assert.equal(await first?.exited, 0)
    },
  )
}
