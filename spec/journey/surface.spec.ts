/** The whole HTTP surface of the real process: every recorded path and method, headers, ids. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import { type ClientReply, readAll, send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { startGateway } from '../support/gateway.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { sessionToken } from '../support/session-token.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const fixed = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
]

const database = await createDatabase()
const provider = await startIdentityProvider({ after })
const upstream = await createFakeUpstream()
after(() => upstream.close())
const gateway = await startGateway(
  { after },
  {
    postgresUrl: database.url,
    issuer: provider.issuer,
    upstream: upstream.url,
    config: {
      managed: { policies: [{ cli: { env: { A: '1' } } }] },
      rate_limits: { device_authorization: { max: 1000 }, device_verify: { max: 1000 } },
    },
  },
)
const token = sessionToken(gateway.url)
const agent = new Agent({ keepAlive: true, maxSockets: 4 })
after(() => agent.destroy())

/** The path as it is written, on a kept connection: `new URL` would tidy it. */
async function ask(
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<ClientReply> {
  return new Promise((resolve, reject) => {
    const needsLength = !['GET', 'HEAD'].includes(method)
    const sent = request({
      agent,
      host: '127.0.0.1',
      port: gateway.port,
      method,
      path,
      headers: { ...(needsLength && { 'content-length': '0' }), ...headers },
    })
    sent.on('error', reject)
    sent.on('response', (reply) => {
      readAll(reply).then(
        (body) =>
          resolve({
            status: reply.statusCode ?? 0,
            headers: reply.headers,
            rawHeaders: reply.rawHeaders,
            body,
          }),
        reject,
      )
    })
    sent.end()
  })
}

/** Name and value of each header in the order of the wire. */
function pairs({ rawHeaders }: ClientReply): [string, string][] {
  return Array.from({ length: rawHeaders.length / 2 }, (_, index) => [
    rawHeaders[index * 2] ?? '',
    rawHeaders[index * 2 + 1] ?? '',
  ])
}

/** Rows where we differ on purpose; each answers as `expected` says. */
function expected(method: string, path: string, token: string, status: string): string {
  // Landing page and probes answer HEAD here.
  if (method === 'HEAD' && /^\/(healthz|readyz)?(\?|$)/.test(path)) return '200'
  // The reference has no such route; a logout needs one.
  if (method === 'POST' && path === '/oauth/revoke') return 'any'
  // Without `admin` there is no spend to report; the recorded gateway had it.
  const isSpend = /^\/v1\/organizations\/spend_limit|^\/api\/oauth\/usage$/.test(path)
  if (isSpend) return token === 'valid' ? 'any' : '401'
  return status
}

test('surface: every method on every recorded path has the recorded status (F360 F361)', async () => {
  const text = readFileSync(new URL('../fixtures/http/matrix.tsv', import.meta.url), 'utf8')
  const rows = text.trim().split('\n').slice(1)
  assert.ok(rows.length > 600)
  const wrong: string[] = []
  for (const row of rows) {
    const [method = '', path = '', who = '', status = ''] = row.split('\t')
    const reply = await ask(method, path, {
      ...(who === 'valid' && { authorization: `Bearer ${token}` }),
    })
    const wanted = expected(method, path, who, status)
    if (wanted !== 'any' && String(reply.status) !== wanted) wrong.push(`${row} → ${reply.status}`)
    if (wanted === '404' && method !== 'HEAD' && path !== '/user/bootstrap') {
      assert.equal(reply.body, 'not found', row)
    }
    // The fixed headers follow each other, then what a refusal says of itself, then the id.
    const all = pairs(reply)
    const first = all.findIndex(([name]) => name === 'X-Content-Type-Options')
    assert.deepEqual(all.slice(first, first + 4), fixed, row)
    const id = all
      .slice(first + 4)
      .find(([name]) => !/^x-(should-retry|cc-gateway-version)$/.test(name))
    assert.equal(id?.[0], 'x-request-id', row)
    assert.match(id?.[1] ?? '', uuid, row)
    for (const [name] of all) {
      assert.doesNotMatch(name, /^(access-control|server$|strict-transport|content-encoding)/i, row)
    }
    assert.notEqual(reply.status, 405, row)
  }
  assert.deepEqual(wrong, [])
})

test('surface: paths are exact, the query is not looked at, dots are resolved (F361)', async () => {
  for (const path of [
    '/healthz',
    '/healthz?x=1',
    '/x/../healthz',
    '/./healthz',
    '/x/%2e%2e/healthz',
  ]) {
    assert.deepEqual([(await ask('GET', path)).status, path], [200, path])
  }
  for (const path of ['/HEALTHZ', '//healthz', '/healthz/', '/healthz%20', '/%68ealthz']) {
    assert.deepEqual([(await ask('GET', path)).status, path], [401, path])
    const known = await ask('GET', path, { authorization: `Bearer ${token}` })
    assert.deepEqual([known.status, known.body], [404, 'not found'])
  }
})

test('surface: ids are ours, but for inference where a client may choose (F362)', async () => {
  const chosen = { 'x-request-id': 'theirs', 'x-client-request-id': 'my-id_1.2' }
  const authorization = `Bearer ${token}`
  for (const path of [
    '/healthz',
    '/nope',
    '/v1/models',
    '/.well-known/oauth-authorization-server',
  ]) {
    const reply = await ask('GET', path, { ...chosen, authorization })
    assert.match(String(reply.headers['x-request-id']), uuid, path)
  }
  const body = '{"model":"claude-sonnet-4-6","messages":[]}'
  for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
    const reply = await send(`${gateway.url}${path}`, { token, body, headers: chosen })
    assert.equal(reply.headers['x-request-id'], 'my-id_1.2', path)
    const plain = { 'x-request-id': 'theirs' }
    const own = await send(`${gateway.url}${path}`, { token, body, headers: plain })
    assert.match(String(own.headers['x-request-id']), uuid, path)
  }
})

test('surface: health and landing answer HEAD with the head of GET (B013)', async () => {
  for (const path of ['/', '/healthz', '/readyz']) {
    const got = await ask('GET', path)
    const head = await ask('HEAD', path)
    assert.deepEqual([head.status, head.body], [200, ''])
    const named = (reply: ClientReply): string[] =>
      pairs(reply)
        .filter(([name]) => !/^(date|x-request-id)$/i.test(name))
        .map(([name, value]) => `${name}: ${value.replaceAll(/nonce-[^' ]+/g, 'nonce')}`)
    assert.deepEqual(named(head), named(got), path)
  }
})

test('surface: HTTP/1.0 without Host is a bad request (B011)', async () => {
  const socket = connect(gateway.port, '127.0.0.1')
  socket.end('GET /healthz HTTP/1.0\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  assert.match(text, /^HTTP\/1\.1 400 /)
})

test('surface: a request to a route that exists is told what is wrong with it, never 405', async () => {
  const reply = await ask('OPTIONS', '/v1/messages', {
    origin: 'https://evil.example',
    'access-control-request-method': 'POST',
  })
  assert.equal(reply.status, 401)
  assert.equal(reply.headers['access-control-allow-origin'], undefined)
})
