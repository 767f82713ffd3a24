import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import { DeadlineExceeded } from '../../lib/kernel/abort.ts'
import { systemClock, type Clock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream, type FakeUpstream } from '../support/fake-upstream.ts'

async function withServer(
  work: (egress: Egress, server: FakeUpstream) => Promise<void>,
  clock: Clock = systemClock,
): Promise<void> {
  const server = await createFakeUpstream()
  const egress = createEgress({ allowLoopback: true, clock })
  try {
    await work(egress, server)
  } finally {
    await egress.close()
    await server.close()
  }
}

test('fetch: a form is posted as OpenID clients post it, and the answer is a Response', () =>
  withServer(async ({ fetch }, server) => {
    server.always({
      status: 400,
      headers: ['content-type', 'application/json', 'set-cookie', 'a=1', 'set-cookie', 'b=2'],
      body: '{"error":"invalid_grant"}',
    })
    const response = await fetch(`${server.url}/token?tenant=x`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'a b&c' }),
      headers: { authorization: 'Basic abc', accept: 'application/json' },
      redirect: 'manual',
    })
    assert.equal(response.status, 400)
    assert.deepEqual(await response.json(), { error: 'invalid_grant' })
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2'])
    const [request] = server.requests
    assert.equal(request?.method, 'POST')
    assert.equal(request?.url, '/token?tenant=x')
    assert.equal(request?.body.toString(), 'grant_type=refresh_token&refresh_token=a+b%26c')
    assert.equal(request?.headers.authorization, 'Basic abc')
    assert.match(request?.headers['content-type'] ?? '', /^application\/x-www-form-urlencoded/)
    assert.equal(request?.headers['accept-encoding'], 'identity')
  }))

test('fetch: a redirect is handed back and not followed', () =>
  withServer(async ({ fetch }, server) => {
    server.always({ status: 302, headers: ['location', `${server.url}/elsewhere`], body: '' })
    const response = await fetch(server.url)
    assert.equal(response.status, 302)
    assert.equal(response.headers.get('location'), `${server.url}/elsewhere`)
    assert.equal(server.requests.length, 1)
  }))

test('fetch: answers that have no body are answers', () =>
  withServer(async ({ fetch }, server) => {
    server.next({ status: 204 }, { status: 304 })
    assert.equal((await fetch(server.url)).status, 204)
    assert.equal((await fetch(server.url)).status, 304)
  }))

test('fetch: an answer compressed unasked is read, and bounded as it was meant', () =>
  withServer(async ({ fetch }, server) => {
    server.next(
      { body: '{"issuer":"x"}', encoding: 'gzip' },
      { body: 'x'.repeat(2 * 1024 * 1024), encoding: 'gzip' },
    )
    const response = await fetch(server.url)
    assert.equal(response.headers.get('content-encoding'), null)
    assert.deepEqual(await response.json(), { issuer: 'x' })
    await assert.rejects(fetch(server.url), RangeError)
  }))

test('fetch: a body above a megabyte is refused and its connection closed', () =>
  withServer(async ({ fetch }, server) => {
    server.next({ body: [{ flood: 1024 * 1024 }] }, { body: [{ flood: 64 * 1024 * 1024 }] })
    assert.equal((await (await fetch(server.url)).bytes()).length, 1024 * 1024)
    await assert.rejects(fetch(server.url), RangeError)
    assert.equal(await (await server.request(1)).closed, 'cut')
  }))

test('fetch: an answer that drips past ten seconds is given up', async () => {
  const clock = createFakeClock()
  await withServer(async ({ fetch }, server) => {
    server.always({ body: ['{"a":', { ending: 'stall' }] })
    const pending = fetch(server.url)
    const outcome = assert.rejects(pending, DeadlineExceeded)
    const { closed } = await server.request(0)
    await clock.advance(9_999)
    assert.equal(server.open, 1)
    await clock.advance(1)
    await outcome
    assert.equal(await closed, 'cut')
  }, clock)
})

test("fetch: the caller's own signal ends it", () =>
  withServer(async ({ fetch }, server) => {
    server.always({ fault: 'stall-before-head' })
    const controller = new AbortController()
    const outcome = assert.rejects(fetch(server.url, { signal: controller.signal }), /not any more/)
    const { closed } = await server.request(0)
    controller.abort(new Error('not any more'))
    await outcome
    assert.equal(await closed, 'cut')
  }))

test('fetch: network failures carry the code of the system', () =>
  withServer(async ({ fetch }, server) => {
    server.always({ fault: 'reset-before-head' })
    await assert.rejects(fetch(server.url), { code: 'ECONNRESET' })
    await assert.rejects(fetch('http://127.0.0.1:1/'), { code: 'ECONNREFUSED' })
  }))
