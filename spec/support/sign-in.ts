/**
 * Sign-in on real parts without a listener: a real provider, a real database, the handlers called
 * as values. The clock of the handlers is moved by hand; it starts at the real time, because the
 * provider's tokens have it.
 */
import assert from 'node:assert/strict'
import type { Handler, Reply } from '../../lib/http/exchange.ts'
import { errorReply } from '../../lib/http/reply.ts'
import { createIdentity, type Identity, type IdentityDeps } from '../../lib/identity/identity.ts'
import type { IdentityOptions, OidcOptions } from '../../lib/identity/options.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { GatewayError } from '../../lib/kernel/errors.ts'
import { openDatabase } from '../../lib/store/database.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { makeExchange, type ExchangeParts } from './exchange.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createHeadlessBrowser } from './headless-browser.ts'
import { startIdentityProvider, type TestProvider } from './identity-provider.ts'
import { oidcDefaults } from './oidc-options.ts'
import { createRecorder, type Recorder } from './recorder.ts'

export const publicUrl = 'https://gw.example.com'

export interface SignInChange extends Partial<Omit<IdentityOptions, 'oidc'>> {
  readonly oidc?: Partial<OidcOptions>
  readonly deps?: Partial<IdentityDeps>
}

export interface Gateway {
  readonly identity: Identity
  readonly recorder: Recorder
  readonly clock: FakeClock
  /** Calls a handler; a refusal becomes the reply the edge makes of it. */
  call(handler: keyof Identity['handlers'], parts?: ExchangeParts): Promise<CalledReply>
  /** A device asks for a code. */
  begin(clientAddress?: string): Promise<{ deviceCode: string; userCode: string }>
  /** The browser's side up to the provider's answer. */
  approve(userCode: string): Promise<Approved>
  /** The callback with what `approve` got. */
  finish(approved: Approved): Promise<CalledReply>
  poll(deviceCode: string): Promise<CalledReply>
  refresh(refreshToken: string): Promise<CalledReply>
  /** The whole way: a token answer. */
  signIn(): Promise<Record<string, unknown>>
}

export interface CalledReply extends Reply {
  readonly text: string
  readonly header: (name: string) => string | undefined
  /** The body as JSON; `{}` when it is none. */
  readonly json: Record<string, unknown>
}

export interface Approved {
  /** Value of the browser's cookie header. */
  readonly cookie: string
  /** The callback's query. */
  readonly query: string
}

export interface Bench {
  readonly provider: TestProvider
  readonly database: TestDatabase
  /** For gateways that revoke sessions. */
  readonly revocation: NonNullable<IdentityDeps['revocation']>
  /** Another gateway on the same database and provider. */
  gateway(change?: SignInChange): Gateway
}

export interface Scope {
  after(action: () => Promise<void>): void
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const sameOrigin = { ...form, 'sec-fetch-site': 'same-origin' }

/** Provider and database, shared by the gateways of one spec file. */
export async function startBench(scope: Scope): Promise<Bench> {
  const provider = await startIdentityProvider(scope)
  const database = await createDatabase(scope)
  const { log } = createRecorder()
  const opened = openDatabase(
    {
      postgres_url: database.url,
      max_connections: 5,
      connect_timeout_seconds: 5,
      readiness_grace_seconds: 0,
    },
    { clock: systemClock, log },
  )
  await opened.start(new AbortController().signal)
  scope.after(() => opened.close())
  return {
    provider,
    database,
    revocation: { store: opened.store, hints: opened.hints },
    gateway: (change = {}) =>
      makeGateway(provider, { kv: opened.kv, rateLimit: opened.rateLimit }, change),
  }
}

function makeGateway(
  { issuer, client_id, client_secret }: TestProvider,
  store: Pick<IdentityDeps, 'kv' | 'rateLimit'>,
  { oidc, deps, ...options }: SignInChange,
): Gateway {
  const recorder = createRecorder()
  const clock = createFakeClock(Date.now())
  const { log, audit } = recorder
  const identity = createIdentity(
    {
      billing_group_tag: undefined,
      public_url: publicUrl,
      tls: false,
      session: { jwt_secret: ['a-secret-of-more-than-thirty-two-characters'], ttl_hours: 1 },
      rate_limits: {
        device_authorization: { max: 1000, window_seconds: 600 },
        device_verify: { max: 1000, window_seconds: 600 },
      },
      ...options,
      oidc: { ...oidcDefaults, issuer, client_id, client_secret, ...oidc },
    },
    { ...store, egress: { fetch }, clock, log, audit, ...deps },
  )
  const call: Gateway['call'] = async (handler, parts = {}) => {
    const headers = parts.body === undefined ? parts.headers : { ...form, ...parts.headers }
    return run(identity.handlers[handler], { ...parts, ...(headers && { headers }) })
  }
  const token = (fields: Record<string, string>): Promise<CalledReply> =>
    call('token', { method: 'POST', body: new URLSearchParams(fields).toString() })

  const gateway: Gateway = {
    identity,
    recorder,
    clock,
    call,
    async begin(clientAddress = '192.0.2.1') {
      const { json, status } = await call('deviceAuthorization', { method: 'POST', clientAddress })
      assert.equal(status, 200)
      return { deviceCode: String(json['device_code']), userCode: String(json['user_code']) }
    },
    async approve(userCode) {
      const body = new URLSearchParams({ user_code: userCode }).toString()
      const reply = await call('deviceSubmit', { method: 'POST', headers: sameOrigin, body })
      assert.equal(reply.status, 302, reply.text)
      const [cookie = ''] = reply.header('set-cookie')?.split(';') ?? []
      const back = `${options.public_url ?? publicUrl}/oauth/callback`
      const { url } = await createHeadlessBrowser().follow(reply.header('location') ?? '', back)
      assert.ok(url.startsWith(back), `the provider kept the browser at ${url}`)
      return { cookie, query: new URL(url).search }
    },
    finish: ({ cookie, query }) => call('callback', { query, headers: { cookie } }),
    poll: (deviceCode) =>
      token({
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: deviceCode,
      }),
    refresh: (refreshToken) => token({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    async signIn() {
      const { deviceCode, userCode } = await gateway.begin()
      await gateway.finish(await gateway.approve(userCode))
      const { status, json, text } = await gateway.poll(deviceCode)
      assert.equal(status, 200, text)
      return json
    },
  }
  return gateway
}

async function run(handler: Handler, parts: ExchangeParts): Promise<CalledReply> {
  const exchange = makeExchange(parts)
  const reply = await attempt(handler, exchange)
  const text = typeof reply.body === 'string' ? reply.body : ''
  return {
    ...reply,
    text,
    header: (name) =>
      reply.headers.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1],
    json: text.startsWith('{') ? JSON.parse(text) : {},
  }
}

async function attempt(
  handler: Handler,
  exchange: ReturnType<typeof makeExchange>,
): Promise<Reply> {
  try {
    return await handler(exchange)
  } catch (error) {
    if (error instanceof GatewayError) return errorReply(error, exchange.requestId)
    throw error
  }
}
