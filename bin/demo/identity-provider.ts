/**
 * A local OpenID provider with sample people, for the demo and (through `spec/support`) the
 * specs. Certified code does the protocol; this file gives it people and a page to choose one.
 * It checks no password: it must never listen on anything but loopback.
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { interactionPolicy, Provider, type Account, type Context } from 'oidc-provider'
import { createMemory } from './identity-provider-memory.ts'
import { errorPage, peoplePage, type SamplePerson } from './identity-provider-pages.ts'

/** Three people whom policies of different groups can tell apart. */
export const samplePeople: readonly SamplePerson[] = [
  {
    id: 'u-mara',
    name: 'Mara Lindqvist',
    email: 'mara@example.com',
    groups: ['engineering', 'platform-admins'],
  },
  { id: 'u-jonas', name: 'Jonas Okafor', email: 'jonas@example.com', groups: ['data-science'] },
  { id: 'u-priya', name: 'Priya Castellan', email: 'priya@example.com', groups: ['contractors'] },
]

/** A native client may use any port of these (RFC 8252 section 7.3). */
const loopbackCallbacks = ['http://127.0.0.1/oauth/callback', 'http://localhost/oauth/callback']

export interface ProviderOptions {
  /** 0 takes a free one. */
  readonly port: number
  readonly client_id: string
  readonly client_secret: string
  /** Besides `/oauth/callback` on any loopback port. */
  readonly redirect_uris?: readonly string[]
  /** Public keys, as JWKs: the client proves itself by assertions instead of its secret. */
  readonly client_keys?: readonly Readonly<Record<string, unknown>>[]
  /** What id_tokens are signed with; RS256 unless said otherwise. */
  readonly signing_alg?: SigningAlg
  readonly people?: readonly SamplePerson[]
  /** Who is signed in without being asked; undefined shows the page. */
  readonly choose?: () => string | undefined
  /** Stands before the provider: true when it has answered (or will answer) by itself. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>
}

export interface RunningProvider {
  readonly issuer: string
  /** Private key of the id_tokens, as a JWK. */
  readonly signingKey: Readonly<Record<string, unknown>>
  close(): Promise<void>
}

/** Listens on 127.0.0.1. */
export async function startIdentityProvider(options: ProviderOptions): Promise<RunningProvider> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port to listen on')
  const issuer = `http://127.0.0.1:${address.port}`
  const { signing_alg = 'RS256' } = options
  const signingKey = {
    ...makeKey(signing_alg).export({ format: 'jwk' }),
    use: 'sig',
    alg: signing_alg,
    kid: randomBytes(8).toString('hex'),
  }
  const people = options.people ?? samplePeople
  const provider = createProvider(issuer, signingKey, people, options)
  const answer = provider.callback()

  server.on('request', (request, response) => {
    handle(request, response).catch((error: unknown) => {
      // Only a broken provider ends here; whoever runs the demo or a spec should see it.
      process.stderr.write(`identity provider: ${String(error)}\n`)
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await options.intercept?.(request, response)) return
    if (request.url?.startsWith('/interaction/')) {
      await interact(provider, people, options.choose, request, response)
    } else {
      await answer(request, response)
    }
  }
  return {
    issuer,
    signingKey,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type SigningAlg = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

function makeKey(alg: SigningAlg): KeyObject {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

/** `GET` asks who it is, `POST` is the answer. */
async function interact(
  provider: Provider,
  people: readonly SamplePerson[],
  choose: (() => string | undefined) | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { uid, params } = await provider.interactionDetails(request, response)
  const chosen = request.method === 'POST' ? await readChoice(request) : choose?.()
  if (chosen === 'cancel') {
    const result = { error: 'access_denied', error_description: 'The person chose to cancel.' }
    await provider.interactionFinished(request, response, result)
    return
  }
  const person = people.find(({ id }) => id === chosen)
  if (person !== undefined) {
    const result = { login: { accountId: person.id, remember: false } }
    await provider.interactionFinished(request, response, result)
    return
  }
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy':
      // The form's answer leads back to the gateway, on a loopback port of its own.
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http://127.0.0.1:* http://localhost:*; frame-ancestors 'none'; base-uri 'none'",
  })
  response.end(peoplePage(people, `/interaction/${uid}`, String(params['client_id'])))
}

async function readChoice(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > 4096) throw new Error('the form is too long')
  }
  return new URLSearchParams(body).get('person') ?? ''
}

interface Owned {
  readonly clientId: string
}

function createProvider(
  issuer: string,
  signingKey: Readonly<Record<string, unknown>>,
  people: readonly SamplePerson[],
  { client_id, client_secret, redirect_uris = [], client_keys }: ProviderOptions,
): Provider {
  const hour = 60 * 60
  const policy = interactionPolicy.base()
  policy.remove('consent')
  const { Check } = interactionPolicy
  // Ask every time: whoever tries the demo wants to be another person in the next minute.
  const asked = ({ oidc }: Context): boolean =>
    oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
  policy.get('login').checks.add(new Check('choose', 'choose a person', 'login_required', asked))

  const provider: Provider = new Provider(issuer, {
    adapter: createMemory(),
    clients: [
      {
        client_id,
        client_secret,
        application_type: 'native',
        redirect_uris: [...loopbackCallbacks, ...redirect_uris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        id_token_signed_response_alg: signingKey['alg'],
        ...(client_keys === undefined
          ? { token_endpoint_auth_method: 'client_secret_basic' }
          : { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: client_keys } }),
      },
    ],
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(24).toString('hex')] },
    scopes: ['openid', 'offline_access'],
    claims: {
      openid: ['sub', 'groups'],
      profile: ['name'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_: unknown, client: Owned, token: Owned) =>
          client.clientId === token.clientId,
      },
      rpInitiatedLogout: { enabled: false },
    },
    interactions: { policy },
    // Refresh tokens for everybody: the sample people never leave.
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    findAccount: (_: unknown, id: string): Account | undefined => {
      const person = people.find((each) => each.id === id)
      if (person === undefined) return undefined
      const { name, email, groups, ...extra } = {
        email_verified: true,
        ...person,
        ...person.claims,
      }
      const { id: _id, claims: _claims, ...more } = extra
      return {
        accountId: id,
        claims: () => Promise.resolve({ sub: id, name, email, groups, ...more }),
      }
    },
    loadExistingGrant: async ({ oidc }: Context) => {
      const accountId = oidc.session.accountId
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId })
      grant.addOIDCScope('openid profile email offline_access')
      await grant.save()
      return grant
    },
    renderError: (context: Context, { error, error_description }: Record<string, string>) => {
      context.type = 'html'
      context.body = errorPage(`${error}: ${error_description ?? ''}`)
    },
    ttl: {
      AccessToken: hour,
      AuthorizationCode: 60,
      IdToken: hour,
      RefreshToken: 14 * 24 * hour,
      Interaction: hour,
      Session: hour,
      Grant: 14 * 24 * hour,
    },
  })
  return provider
}
