import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, test } from 'node:test'
import { askProvider, describe } from '../../lib/identity/provider-request.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void
let answer: Answer = (_, response) => response.end()

const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  answer(request, response, body)
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => {
  server.closeAllConnections()
  server.close()
})
const address = server.address()
const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/x`
const signal = new AbortController().signal
const get = { method: 'GET' } as const

test('provider request: a JSON object comes back with its status', async () => {
  answer = (request, response) => {
    assert.equal(request.headers.accept, 'application/json')
    response.writeHead(400).end('{"error":"x"}')
  }
  assert.deepEqual(await askProvider(fetch, url, get, signal), {
    ok: true,
    status: 400,
    json: { error: 'x' },
  })
})

test('provider request: a form is sent as one', async () => {
  answer = (request, response, body) => {
    response.end(JSON.stringify({ type: request.headers['content-type'], body }))
  }
  const form = new URLSearchParams({ a: 'x y', b: '&' })
  const asked = await askProvider(
    fetch,
    url,
    { method: 'POST', form, headers: { authorization: 'Basic x' } },
    signal,
  )
  assert.deepEqual(asked, {
    ok: true,
    status: 200,
    json: { type: 'application/x-www-form-urlencoded', body: 'a=x+y&b=%26' },
  })
})

test('provider request: what is no JSON object is none, whatever the status', async () => {
  for (const body of ['<html>', '', '[1]', '"text"']) {
    answer = (_, response) => response.end(body)
    assert.deepEqual(await askProvider(fetch, url, get, signal), {
      ok: true,
      status: 200,
      json: null,
    })
  }
})

test('provider request: a redirect is an answer and never followed', async () => {
  let asked = 0
  answer = (_, response) => {
    asked++
    response.writeHead(302, { location: '/elsewhere' }).end()
  }
  const answered = await askProvider(fetch, url, get, signal)
  assert.equal(answered.ok && answered.status, 302)
  assert.equal(asked, 1)
})

test('provider request: a cut connection is a reason, not an exception', async () => {
  answer = (request) => request.socket.destroy()
  const reset = await askProvider(fetch, url, get, signal)
  assert.equal(reset.ok, false)
  assert.match(reset.ok ? '' : reset.reason, /other side closed|ECONNRESET|socket hang up/i)

  answer = (_, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"half":')
    response.socket?.destroySoon()
  }
  const half = await askProvider(fetch, url, get, signal)
  assert.equal(half.ok, false)
})

test('provider request: nobody listening is a reason that names the address', async () => {
  const asked = await askProvider(fetch, 'http://127.0.0.1:9/', get, signal)
  assert.match(asked.ok ? '' : asked.reason, /ECONNREFUSED|bad port/)
})

test('provider request: an endless answer is given up', async () => {
  answer = (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65536)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  }
  const asked = await askProvider(fetch, url, get, signal)
  assert.equal(asked.ok ? '' : asked.reason, 'the answer is longer than 1048576 bytes')
})

test('provider request: the caller’s signal ends it with its own reason', async () => {
  answer = () => {}
  const stop = new AbortController()
  const asking = askProvider(fetch, url, get, stop.signal)
  stop.abort(new Error('identity provider timed out after 10000 ms'))
  assert.deepEqual(await asking, {
    ok: false,
    reason: 'identity provider timed out after 10000 ms',
  })
})

test('provider request: the innermost cause is what is told, at bounded length', () => {
  const inner = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
  assert.equal(describe(new TypeError('fetch failed', { cause: inner })), 'read ECONNRESET')
  const coded = Object.assign(new Error('refused'), { code: 'ECONNREFUSED_SSRF' })
  assert.equal(describe(coded), 'refused (ECONNREFUSED_SSRF)')
  assert.equal(describe('text'), 'text')
  assert.equal(describe(new RangeError('')), 'RangeError')
  assert.equal(describe(new Error('x'.repeat(5000))).length, 301)
  const loop = new Error('a')
  loop.cause = loop
  assert.equal(describe(loop), 'a')
})
