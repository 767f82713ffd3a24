import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createEdge, type EdgeParts } from '../../lib/http/edge.ts'
import { json, text } from '../../lib/http/reply.ts'
import { createRouter, type Method, type Route } from '../../lib/http/router.ts'
import { type ErrorCode, fail } from '../../lib/kernel/errors.ts'
import { open, parseReply, request, type Wire, withGateway } from './gateway-under-test.ts'
import { makeServedExchange } from './served-exchange-parts.ts'

const fixtures = new URL('../fixtures/http/', import.meta.url)

const caller = { sub: 'a', email: undefined, name: undefined, groups: [], expiresAt: 0 }

/** The routes of the protocol, each with a handler that says it was reached. */
const reached = () => text(200, 'reached')
const openTo = (method: Method, ...paths: string[]): Route[] =>
  paths.map((path) => ({ access: 'open', method, path, handle: reached }))
const callersOf = (method: Method, ...paths: string[]): Route[] =>
  paths.map((path) => ({ access: 'caller', method, path, handle: reached }))
const protocol: readonly Route[] = [
  ...openTo('GET+HEAD', '/'),
  ...openTo('GET', '/protocol', '/device'),
  ...openTo('ANY', '/.well-known/oauth-authorization-server', '/oauth/callback'),
  ...openTo('POST', '/oauth/device_authorization', '/oauth/token', '/device', '/device/deny'),
  ...callersOf('ANY', '/managed/settings'),
  ...callersOf('GET', '/v1/models', '/api/oauth/usage', '/user/bootstrap'),
  ...callersOf('POST', '/v1/messages', '/v1/messages/count_tokens'),
  ...callersOf('POST', '/v1/metrics', '/v1/logs', '/v1/traces'),
  { access: 'admin', prefix: '/v1/organizations/spend_limits', below: true, handle: reached },
]

/** Sends on a kept connection and returns the reply; `Content-Length` tells where it ends. */
async function ask(wire: Wire, text: string, method: string): Promise<string> {
  const from = wire.received().length
  wire.socket.write(text)
  for (;;) {
    await wire.until('\r\n\r\n')
    const reply = wire.received().slice(from)
    const end = reply.indexOf('\r\n\r\n')
    const length = Number(/content-length: (\d+)/i.exec(reply)?.[1] ?? 0)
    if (end >= 0 && (method === 'HEAD' || reply.length >= end + 4 + length)) return reply
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('edge: every method on every path, with and without a session, is answered as the protocol says', async () => {
  const rows = readFileSync(new URL('matrix.tsv', fixtures), 'utf8').trim().split('\n').slice(1)
  assert.ok(rows.length > 600)
  await withGateway({ routes: protocol }, async ({ port }) => {
    const wire = await open(port)
    for (const row of rows) {
      const [method = '', path = '', token, status] = row.split('\t')
      const headers = token === 'valid' ? ['Authorization: Bearer good'] : []
      const isAdmin = /^\/v1\/organizations\/spend_limits(\/|$)/.test(path)
      // Landing page and probes answer HEAD here.
      const isBetter = method === 'HEAD' && /^\/(healthz|readyz)?(\?|$)/.test(path)
      // The admin API and routes that are off answer for themselves.
      const isOwn = isAdmin || (method === 'GET' && path === '/user/bootstrap')
      const expected = isBetter ? '200' : status === '401' || status === '404' ? status : '200'
      if (isOwn) continue
      const reply = parseReply(await ask(wire, request(method, path, ...headers), method))
      assert.equal(String(reply.status), expected, row)
      if (expected === '404' && method !== 'HEAD') assert.equal(reply.body, 'not found', row)
      if (expected === '200' && method !== 'HEAD' && !isBetter) {
        assert.match(reply.body, /^(reached|ok|ready)$/, row)
      }
    }
  })
})

interface Capture {
  readonly name: string
  readonly fields?: number
  readonly limits: Record<string, number>
  readonly request: {
    method: string
    path: string
    headers: [string, string][]
    body: string | null
  }
  readonly response: { status_line: string; headers: [string, string][]; body: string }
}

/** `aaaaaaaa…(×N)` stands for N times `a`. */
const expand = (text: string): string =>
  text.replaceAll(/a{8}…\(×(\d+)\)/g, (_, count) => 'a'.repeat(Number(count)))

function write(capture: Capture): string {
  const { method, path, headers, body } = capture.request
  const fields = headers.map(([name, value]) => `${name}: ${expand(value)}`)
  for (let field = 0; field < (capture.fields ?? 0); field++) fields.push(`X-${field}: a`)
  const isChunked = headers.some(([name]) => name === 'Transfer-Encoding')
  const hasLength = headers.some(([name]) => name === 'Content-Length')
  const content = isChunked ? '3\r\nabc\r\n0\r\n\r\n' : expand(body ?? '')
  if (!isChunked && !hasLength && body !== null) fields.push(`Content-Length: ${content.length}`)
  const hasHost = headers.some(([name]) => name === 'Host')
  if (!hasHost) fields.unshift('Host: localhost:9310')
  const head = [`${method} ${expand(path)} HTTP/1.1`, ...fields]
  return `${head.join('\r\n')}\r\n\r\n${content}`
}

test('edge: refusals and probes carry the status, headers and body of the captures', async (t) => {
  const captures: Capture[] = JSON.parse(readFileSync(new URL('exchanges.json', fixtures), 'utf8'))
  for (const capture of captures) {
    await t.test(capture.name, async () => {
      const { method } = capture.request
      const deny_cidrs = capture.name === 'access denied' ? ['127.0.0.0/8'] : []
      const settings = { routes: protocol, limits: capture.limits, deny_cidrs }
      await withGateway(settings, async ({ port }) => {
        const wire = await open(port)
        const reply = parseReply(await ask(wire, write(capture), method))
        wire.socket.destroy()
        const { response } = capture
        assert.equal(String(reply.status), response.status_line.split(' ')[1])
        if (reply.status === 200 && reply.body === 'reached') return
        // Order of what comes after the id, and what we add, is not compared.
        const added = new Set(['x-should-retry', 'connection', 'date', 'content-length'])
        if (method === 'HEAD') added.add('content-type')
        const compared = (headers: readonly [string, string][]): string[] =>
          headers
            .filter(([name]) => !added.has(name.toLowerCase()))
            .map(([name, value]) => (name === 'x-request-id' ? name : `${name}: ${value}`))
        assert.deepEqual(compared(reply.headers), compared(response.headers))
        const anyId = /"request_id":"[^"]*"/
        const body = method === 'HEAD' ? '' : response.body
        assert.equal(reply.body.replace(anyId, ''), body.replace(anyId, ''))
      })
    })
  }
})

/** An edge whose checks note that they ran, and refuse when told to. */
function noting(refuser?: string): { run: (path: string) => Promise<string[]> } {
  const notes: string[] = []
  const step = (name: string, code: ErrorCode): void => {
    notes.push(name)
    if (name === refuser) fail(code)
  }
  const handler = (name: string) => () => {
    notes.push(name)
    return json(200, {})
  }
  const parts: EdgeParts = {
    router: createRouter([
      { access: 'health', method: 'GET', path: '/health', handle: handler('health') },
      { access: 'open', method: 'GET', path: '/open', handle: handler('open') },
      { access: 'open', method: 'GET', path: '/admin/open', handle: handler('open') },
      { access: 'admin', prefix: '/admin', below: true, handle: handler('admin') },
      { access: 'caller', method: 'GET', path: '/caller', handle: handler('caller') },
      { access: 'caller', method: 'GET', path: '/admin/caller', handle: handler('caller') },
    ]),
    noticePublicClient: () => {},
    access: {
      refuseDenied: () => step('deny list', 'access/forbidden'),
      refuseNotAllowed: () => step('allow list', 'access/forbidden'),
    },
    checkLimits: () => step('limits', 'http/uri-too-long'),
    authenticate: async () => {
      await Promise.resolve()
      step('session', 'session/invalid-token')
      return caller
    },
  }
  const edge = createEdge(parts)
  return {
    async run(path) {
      await edge(makeServedExchange({ path })).catch((error: Error) => notes.push(error.message))
      return notes
    },
  }
}

test('edge: every answer and refusal is told with its place in the table', async () => {
  const told: string[] = []
  const edge = createEdge({
    router: createRouter([
      { access: 'open', method: 'GET', path: '/open', handle: () => json(201, {}) },
      { access: 'admin', prefix: '/admin', below: true, handle: () => json(403, {}) },
      { access: 'caller', method: 'POST', path: '/caller', handle: () => fail('http/internal') },
    ]),
    access: { refuseDenied: () => {}, refuseNotAllowed: () => {} },
    noticePublicClient: () => {},
    checkLimits: ({ path }) => (path.length > 100 ? fail('http/uri-too-long') : undefined),
    authenticate: ({ headers }) =>
      headers.authorization === undefined ? fail('session/invalid-token') : caller,
    observe: (route, status) => void told.push(`${route} ${status}`),
  })
  const ask = (method: string, path: string, headers = {}) =>
    edge(makeServedExchange({ method, path, headers })).catch(() => {})
  await ask('GET', '/open')
  await ask('GET', '/admin/x')
  await ask('POST', '/caller')
  await ask('POST', '/caller', { authorization: 'x' })
  await ask('GET', '/caller', { authorization: 'x' })
  await ask('GET', '/invented', { authorization: 'x' })
  await ask('GET', `/${'x'.repeat(200)}`)
  assert.deepEqual(told, [
    '/open 201',
    '/admin 403',
    '/caller 401',
    '/caller 500',
    '/caller 404',
    'other 404',
    'other 414',
  ])
})

test('edge: checks run in the order of the protocol', async () => {
  const all = ['deny list', 'allow list', 'limits']
  assert.deepEqual(await noting().run('/health'), ['deny list', 'health'])
  assert.deepEqual(await noting().run('/open'), [...all, 'open'])
  assert.deepEqual(await noting().run('/admin/x'), [...all, 'admin'])
  assert.deepEqual(await noting().run('/caller'), [...all, 'session', 'caller'])
  assert.deepEqual(await noting().run('/nowhere'), [...all, 'session', 'not found'])
})

test('edge: an open row goes before the admin prefix, and the prefix before sessions', async () => {
  assert.deepEqual((await noting().run('/admin/open')).at(-1), 'open')
  assert.deepEqual((await noting().run('/admin/caller')).at(-1), 'admin')
})

test('edge: each refusal stops the checks after it', async () => {
  assert.deepEqual(await noting('deny list').run('/health'), ['deny list', 'forbidden'])
  assert.deepEqual(await noting('allow list').run('/open'), [
    'deny list',
    'allow list',
    'forbidden',
  ])
  assert.deepEqual((await noting('limits').run('/open')).at(-1), 'uri too long')
  assert.deepEqual((await noting('session').run('/caller')).at(-1), 'invalid token')
  assert.deepEqual((await noting('session').run('/nowhere')).at(-1), 'invalid token')
})
