/**
 * Google's token endpoint and Directory API as far as groups are read: a real server that checks
 * what it is asked, with groups that specs change and ways to misbehave.
 */
import { createPublicKey } from 'node:crypto'
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jwtVerify, type JWTPayload, type JWTHeaderParameters } from 'jose'
import type { GoogleEndpoints } from '../../lib/identity/google-groups.ts'

export interface Assertion {
  readonly header: JWTHeaderParameters
  readonly claims: JWTPayload
}

export interface GoogleDirectory {
  readonly endpoints: GoogleEndpoints
  /** For `oidc.google_groups`; the file is a real one. */
  readonly settings: { readonly service_account_json_path: string; readonly admin_email: string }
  /** Addresses of the groups of a person; unknown people are 404. */
  readonly groups: Map<string, readonly string[]>
  /** Assertions that were good, in order. */
  readonly assertions: readonly Assertion[]
  /** Queries of the groups endpoint, in order. */
  readonly lookups: readonly URLSearchParams[]
  /** Puts an answer before an endpoint, or nothing but silence; null takes it away. */
  misbehave(endpoint: keyof GoogleEndpoints, behaviour: Misbehaviour | null): void
  /** Lifetime of the tokens from now on; undefined leaves it out. */
  livesFor(seconds: number | undefined): void
  /** Every token so far is refused from now on. */
  takeBackTokens(): void
  /** Ends the pagination never. */
  goInCircles(): void
}

export type Misbehaviour = 'hang' | 'reset' | { readonly status: number; readonly body: string }

const fixtures = join(import.meta.dirname, '../fixtures/identity')
export const adminEmail = 'admin@example.com'
export const accountEmail = 'reader@project.iam.gserviceaccount.com'

/** The key file as Google's console writes it, with parts replaced. */
export function keyFile(change: Readonly<Record<string, unknown>> = {}): string {
  const private_key = readFileSync(join(fixtures, 'client-assertion.key.pem'), 'utf8')
  return JSON.stringify({
    type: 'service_account',
    private_key_id: 'key-1',
    private_key,
    client_email: accountEmail,
    token_uri: 'https://evil.example.com/token',
    ...change,
  })
}

export async function startGoogleDirectory(scope: {
  after(action: () => Promise<void> | void): void
}): Promise<GoogleDirectory> {
  const folder = mkdtempSync(join(tmpdir(), 'google-spec-'))
  const path = join(folder, 'service-account.json')
  writeFileSync(path, keyFile())
  const publicKey = createPublicKey(readFileSync(join(fixtures, 'client-assertion.cert.pem')))
  const groups = new Map<string, readonly string[]>()
  const assertions: Assertion[] = []
  const lookups: URLSearchParams[] = []
  const behaviours = new Map<string, Misbehaviour>()
  const tokens = new Set<string>()
  let lifetime: number | undefined = 3600
  let circles = false
  let origin = ''

  const trade = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const form = new URLSearchParams(await readText(request))
    const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', publicKey, {
      audience: `${origin}/token`,
      issuer: accountEmail,
      // The clock of specs may be moved ahead.
      currentDate: new Date(0),
    })
    assertions.push({ header: { ...protectedHeader, alg: 'RS256' }, claims: payload })
    const access_token = `ya29.${assertions.length}`
    tokens.add(access_token)
    reply(response, 200, { access_token, token_type: 'Bearer', expires_in: lifetime })
  }
  const list = (request: IncomingMessage, response: ServerResponse, url: URL): void => {
    const query = url.searchParams
    lookups.push(query)
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    if (!tokens.has(token)) return refuse(response, 401, 'Invalid Credentials')
    const mine = groups.get(query.get('userKey') ?? '')
    if (mine === undefined) return refuse(response, 404, 'Resource Not Found: userKey')
    const from = Number(query.get('pageToken')?.slice(1) ?? 0)
    const to = from + Number(query.get('maxResults'))
    reply(response, 200, {
      kind: 'admin#directory#groups',
      ...(mine.length > 0 && { groups: mine.slice(from, to).map((email) => ({ email, id: 'g' })) }),
      ...((to < mine.length || circles) && { nextPageToken: `p${circles ? 0 : to}` }),
    })
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin)
    const endpoint = url.pathname === '/token' ? 'token' : 'groups'
    const behaviour = behaviours.get(endpoint)
    if (behaviour === 'hang') return
    if (behaviour === 'reset') return void request.socket.destroy()
    if (behaviour !== undefined) {
      response.writeHead(behaviour.status, { 'content-type': 'application/json' })
      return void response.end(behaviour.body)
    }
    if (endpoint === 'groups') return list(request, response, url)
    trade(request, response).catch((error: unknown) => {
      reply(response, 400, { error: 'invalid_grant', error_description: String(error) })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  scope.after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  })
  return {
    endpoints: { token: `${origin}/token`, groups: `${origin}/groups` },
    settings: { service_account_json_path: path, admin_email: adminEmail },
    groups,
    assertions,
    lookups,
    misbehave(endpoint, behaviour) {
      if (behaviour === null) behaviours.delete(endpoint)
      else behaviours.set(endpoint, behaviour)
    },
    livesFor(seconds) {
      lifetime = seconds
    },
    takeBackTokens: () => tokens.clear(),
    goInCircles() {
      circles = true
    },
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function refuse(response: ServerResponse, code: number, message: string): void {
  reply(response, code, { error: { code, message, status: 'X' } })
}
