/**
 * Every secret a configuration can hold, marked, and a day's troubles: no line at any level, no
 * answer and no report of a mistake shows one of them, as it is or encoded.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { spawnGateway, startGateway, type GatewayProcess } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'

const database = await createDatabase({ after })
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())

const marked = {
  jwt: 'MARKEDjwt-0123456789-abcdefghij-0123456789',
  oldJwt: 'MARKEDold-0123456789-abcdefghij-0123456789',
  apiKey: 'MARKEDapikey-0123456789',
  header: 'MARKEDheader-0123456789',
  writeKey: 'MARKEDwrite-0123456789-abcdefghij-01234567',
  readKey: 'MARKEDread-0123456789-abcdefghij-012345678',
  collector: 'MARKEDcollector-0123456789',
  awsSecret: 'MARKEDaws-0123456789',
  awsSession: 'MARKEDsession-0123456789',
} as const

const config = {
  session: { jwt_secret: [marked.jwt, marked.oldJwt] },
  upstreams: [
    {
      provider: 'anthropic',
      base_url: upstream.url,
      auth: { api_key: marked.apiKey },
      headers: { 'x-team': marked.header },
    },
    {
      provider: 'bedrock',
      region: 'us-east-1',
      base_url: upstream.url,
      auth: {
        aws_access_key_id: 'AKIDEXAMPLE',
        aws_secret_access_key: marked.awsSecret,
        aws_session_token: marked.awsSession,
      },
    },
  ],
  admin: {
    write_keys: [{ id: 'w', key: marked.writeKey }],
    read_keys: [{ id: 'r', key: marked.readKey }],
  },
  // Nobody listens there: every delivery fails, and says so.
  telemetry: {
    forward_to: [{ url: 'http://127.0.0.1:9', headers: { authorization: marked.collector } }],
  },
}
const options = { postgresUrl: database.url, issuer: provider.issuer, config }

/** As it is, and as the encodings that headers, forms and dumps use would write it. */
const spellings = (secret: string): string[] => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('hex'),
]

function assertSilent(text: string, secrets: readonly string[], where: string): void {
  for (const secret of secrets) {
    for (const spelled of spellings(secret)) {
      assert.equal(text.includes(spelled), false, `${where} shows ${secret.slice(0, 14)}…`)
    }
  }
}

const post = (url: string, form: Record<string, string>): Promise<{ body: string }> =>
  send(url, {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

/** Signs somebody in; everything that came along and must stay between the two. */
async function signIn({ url }: GatewayProcess): Promise<{ token: string; secrets: string[] }> {
  const begun = JSON.parse((await post(`${url}/oauth/device_authorization`, {})).body)
  const browser = createHeadlessBrowser()
  const reply = await browser.post(`${url}/device`, { user_code: begun.user_code })
  const cookie = browser.cookies(url).get('gw_dev') ?? ''
  const authorize = reply.headers.get('location') ?? ''
  const back = await browser.follow(authorize, `${url}/oauth/callback`)
  await browser.fetch(back.url)
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: begun.device_code,
  }
  const answer = JSON.parse((await post(`${url}/oauth/token`, grant)).body)
  const query = new URL(back.url).searchParams
  const asked = new URL(authorize).searchParams
  const secrets = [
    begun.device_code,
    begun.user_code,
    cookie,
    answer.access_token,
    answer.refresh_token,
    query.get('code'),
    query.get('state'),
    asked.get('nonce'),
  ]
  for (const secret of secrets) assert.ok(typeof secret === 'string' && secret.length > 8)
  return { token: answer.access_token, secrets }
}

const prompt = 'MARKEDprompt-what-a-developer-asked'
const messages = (token: string, model = 'claude-opus-4-8'): Parameters<typeof send>[1] => ({
  token,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model, max_tokens: 5, messages: [{ role: 'user', content: prompt }] }),
})

for (const level of ['debug', 'info', 'warn', 'error']) {
  test(`marked secrets: none in any line at level ${level}, whatever goes wrong`, async (t) => {
    const environment = { CLAUDE_GATEWAY_LOG_LEVEL: level }
    // Whether it listens is said at "info": asked by its health here.
    const gateway = await spawnGateway(t, { ...options, environment })
    while (
      !(await send(`${gateway.url}/readyz`).then(
        (r) => r.status === 200,
        () => false,
      ))
    ) {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const { token, secrets } = await signIn(gateway)
    const answers: string[] = []
    const ask = async (path: string, sent: Parameters<typeof send>[1] = {}): Promise<void> => {
      const { rawHeaders, body } = await send(`${gateway.url}${path}`, sent)
      answers.push(rawHeaders.join('\n'), body)
    }
    upstream.next({ status: 200, body: '{}' })
    await ask('/v1/messages', messages(token))
    // Upstreams that fail, and one that echoes what it was sent, as proxies in a rage do.
    const echo = (request: {
      rawHeaders: readonly string[]
    }): { status: number; body: string } => ({
      status: 500,
      body: request.rawHeaders.join('\n'),
    })
    upstream.next({ fault: 'reset-before-head' }, { fault: 'reset-before-head' })
    await ask('/v1/messages', messages(token))
    upstream.next(echo, echo)
    await ask('/v1/messages', messages(token))
    await ask('/v1/messages', messages(token, 'claude-no-such-model'))
    await ask('/v1/messages', messages(`${token.slice(0, -4)}AAAA`))
    await ask('/v1/metrics', { token, body: '{}', headers: { 'content-type': 'application/json' } })
    for (const key of [marked.readKey, marked.writeKey, `${marked.writeKey}x`]) {
      await ask('/v1/organizations/spend_limits', { headers: { 'x-api-key': key } })
    }
    provider.misbehave('token', { kind: 'reset' })
    await ask('/oauth/token', {
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: secrets[4] ?? '',
      }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    provider.misbehave('token', null)
    await ask('/oauth/callback?code=MARKEDcode-0123456789&state=MARKEDstate-0123456789')
    gateway.kill('SIGTERM')
    assert.equal(await gateway.exited, 0)
    const written = gateway.lines.join('\n')
    assert.match(written, /"evt":"inference"/, 'there was something to look at')
    const all = [
      ...Object.values(marked),
      ...secrets,
      'gateway-secret',
      prompt,
      'MARKEDcode-0123456789',
      'MARKEDstate-0123456789',
    ]
    assertSilent(written, all, 'the log')
    assertSilent(answers.join('\n'), Object.values(marked), 'an answer')
  })
}

test('marked secrets: a file with mistakes shows none of them either', async (t) => {
  const { admin, upstreams, ...rest } = config
  const broken = {
    ...rest,
    session: { jwt_secret: [marked.jwt.slice(0, 20), 5] },
    upstreams: upstreams.map((each) => ({ ...each, regon: marked.apiKey })),
    admin: { ...admin, write_keys: [{ id: 'w', kei: marked.writeKey }] },
    oidc: { issuer: 'x', client_id: 'gateway', client_secret: [marked.header] },
  }
  const gateway = await spawnGateway(t, { ...options, config: broken })
  assert.equal(await gateway.exited, 1)
  const written = gateway.lines.join('\n')
  assert.match(written, /session\.jwt_secret/)
  assert.doesNotMatch(written, /MARKED/)
})

test('marked secrets: a password in the address of the database is in no line', async (t) => {
  const url = new URL(database.url)
  url.password = 'MARKEDpassword-0123456789'
  url.port = '9'
  const gateway = await spawnGateway(t, { ...options, postgresUrl: url.href })
  assert.equal(await gateway.exited, 1)
  assert.doesNotMatch(gateway.lines.join('\n'), /MARKEDpassword/)
  const fine = await startGateway(t, options)
  assertSilent(fine.lines.join('\n'), Object.values(marked), 'the boot')
})
