/**
 * A real OpenID provider for specs, with sample people whose claims can be changed, and with a
 * front that can make it slow, broken or dishonest. Signs people in without asking, unless told
 * to show its page.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { decodeJwt, importJWK, SignJWT, type JWTPayload } from 'jose'
import {
  samplePeople,
  startIdentityProvider as start,
  type ProviderOptions,
  type RunningProvider,
} from '../../bin/demo/identity-provider.ts'
import type { SamplePerson } from '../../bin/demo/identity-provider-pages.ts'

const paths = {
  discovery: '/.well-known/openid-configuration',
  authorization: '/auth',
  token: '/token',
  jwks: '/jwks',
  userinfo: '/me',
  revocation: '/token/revocation',
} as const
export type Endpoint = keyof typeof paths

export type Behaviour =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }

export interface SeenRequest {
  readonly path: string
  readonly authorization: string | undefined
  /** Complete once the request was answered. */
  readonly form: URLSearchParams
}

export type TokenAnswer = Record<string, unknown>

export interface TestProvider {
  readonly issuer: string
  readonly client_id: string
  readonly client_secret: string
  /** Requests of one endpoint so far. */
  requests(endpoint: Endpoint): readonly SeenRequest[]
  /** By id; `cancel` refuses, undefined shows the page. */
  signInAs(id: string | undefined): void
  /** Replaces parts of a person, from the next token on. */
  change(id: string, change: Partial<SamplePerson>): void
  /** Puts a behaviour before an endpoint; null takes it away. */
  misbehave(endpoint: Endpoint, behaviour: Behaviour | null): void
  /** Changes answers of the token endpoint; null stops. */
  rewriteTokens(rewrite: ((answer: TokenAnswer) => Promise<TokenAnswer> | TokenAnswer) | null): void
  /** Changes the claims of id_tokens, signed again with the provider's key; null stops. */
  rewriteClaims(rewrite: ((claims: JWTPayload) => JWTPayload) | null): void
  /** Signs claims with the provider's own key. */
  sign(claims: JWTPayload): Promise<string>
}

export interface Scope {
  after(action: () => Promise<void> | void): void
}

/** On 127.0.0.1, gone at the end of the scope. The callback: any loopback port, or gw.example.com. */
export async function startIdentityProvider(
  scope: Scope,
  options: Pick<ProviderOptions, 'client_keys' | 'signing_alg'> = {},
): Promise<TestProvider> {
  const people = samplePeople.map((person) => ({ ...person }))
  const seen: SeenRequest[] = []
  const behaviours = new Map<string, Behaviour>()
  let chosen: string | undefined = people[0]?.id
  let rewrite: ((answer: TokenAnswer) => Promise<TokenAnswer> | TokenAnswer) | null = null

  const provider = await start({
    ...options,
    port: 0,
    client_id: 'gateway',
    client_secret: 'gateway-secret',
    redirect_uris: ['https://gw.example.com/oauth/callback'],
    people,
    choose: () => chosen,
    async intercept(request, response) {
      seen.push(watch(request))
      const path = pathOf(request)
      const behaviour = behaviours.get(path)
      if (path === paths.token && rewrite !== null) changeAnswer(response, rewrite)
      return behaviour === undefined ? false : misbehave(behaviour, request, response)
    },
  })
  scope.after(() => provider.close())
  const sign = (claims: JWTPayload): Promise<string> => signWith(provider, claims)

  return {
    issuer: provider.issuer,
    client_id: 'gateway',
    client_secret: 'gateway-secret',
    requests: (endpoint) => seen.filter(({ path }) => path === paths[endpoint]),
    signInAs(id) {
      chosen = id
    },
    change(id, change) {
      const person = people.find((each) => each.id === id)
      if (person === undefined) throw new Error(`no person ${id}`)
      Object.assign(person, change)
    },
    misbehave(endpoint, behaviour) {
      if (behaviour === null) behaviours.delete(paths[endpoint])
      else behaviours.set(paths[endpoint], behaviour)
    },
    rewriteTokens(given) {
      rewrite = given
    },
    rewriteClaims(given) {
      rewrite =
        given === null
          ? null
          : async (answer) => ({
              ...answer,
              id_token: await sign(given(decodeJwt(String(answer['id_token'])))),
            })
    },
    sign,
  }
}

async function signWith({ signingKey }: RunningProvider, claims: JWTPayload): Promise<string> {
  const key = await importJWK({ kty: 'RSA', ...signingKey }, 'RS256')
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: String(signingKey['kid']) })
    .sign(key)
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://provider').pathname
}

/** Copies the body as it arrives; must run before anything is awaited. */
function watch(request: IncomingMessage): SeenRequest {
  const form = new URLSearchParams()
  let body = ''
  const push = request.push.bind(request)
  Object.defineProperty(request, 'push', {
    value: (chunk: Buffer | null) => {
      if (chunk === null)
        new URLSearchParams(body).forEach((value, name) => form.append(name, value))
      else body += chunk.toString()
      return push(chunk)
    },
  })
  return { path: pathOf(request), authorization: request.headers.authorization, form }
}

async function misbehave(
  behaviour: Behaviour,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  switch (behaviour.kind) {
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, behaviour.ms))
      return false
    case 'hang':
      return true
    case 'reset':
      request.socket.destroy()
      return true
    case 'answer':
      response.writeHead(behaviour.status, { 'content-type': 'application/json' })
      response.end(behaviour.body)
      return true
  }
}

/** Takes the provider's JSON at the moment it is sent, and sends another. */
function changeAnswer(
  response: ServerResponse,
  rewrite: (answer: TokenAnswer) => Promise<TokenAnswer> | TokenAnswer,
): void {
  const end = response.end.bind(response)
  Object.defineProperty(response, 'end', {
    value: async (body: Buffer | string) => {
      const answer: TokenAnswer = JSON.parse(String(body))
      const changed = 'error' in answer ? answer : await rewrite(answer)
      response.removeHeader('content-length')
      end(JSON.stringify(changed))
    },
  })
}
