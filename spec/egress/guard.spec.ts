import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import {
  AddressRefused,
  guardedLookup,
  metadataReachable,
  type Resolve,
} from '../../lib/egress/guard.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createAnthropicAt, createAsk, readBody } from '../support/ask.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { listen } from '../support/listen.ts'

const strict = { allowLoopback: false }

/** A resolver that gives the next of `answers` at each question; the last one stays. */
function resolver(...answers: string[][]): { resolve: Resolve; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    resolve(hostname, _options, done) {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? []
      asked.push(hostname)
      const addresses = answer.map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
      }))
      setImmediate(() => done(null, addresses))
    },
  }
}

function lookup(resolve: Resolve, all: boolean): Promise<string | LookupAddress[]> {
  return new Promise((done, reject) => {
    guardedLookup(strict, resolve)('host.example', { all }, (error, address) =>
      error === null ? done(address) : reject(error),
    )
  })
}

test('guard: forbidden addresses of a name are dropped and the others kept in order', async () => {
  const { resolve } = resolver(['127.0.0.1', '10.0.0.2', '169.254.169.254', '::1', 'fd00::1'])
  assert.deepEqual(await lookup(resolve, true), [
    { address: '10.0.0.2', family: 4 },
    { address: 'fd00::1', family: 6 },
  ])
  assert.equal(await lookup(resolve, false), '10.0.0.2')
})

test('guard: a name with no allowed address is refused with the code operators see', async () => {
  for (const answer of [['127.0.0.1'], ['::ffff:169.254.169.254', '::1'], []]) {
    const { resolve } = resolver(answer)
    await assert.rejects(lookup(resolve, true), (error: unknown) => {
      assert.ok(error instanceof AddressRefused)
      assert.equal(error.code, 'ECONNREFUSED_SSRF')
      assert.match(error.message, /host\.example/)
      return true
    })
  }
})

test('guard: a resolver that fails is reported as it failed', async () => {
  const resolve: Resolve = (_hostname, _options, done) =>
    done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), [])
  await assert.rejects(lookup(resolve, true), { code: 'ENOTFOUND' })
})

test('guard: literal addresses, names that resolve to loopback and metadata names never connect', async () => {
  const upstream = await createFakeUpstream()
  const { port } = new URL(upstream.url)
  const { resolve } = resolver(['127.0.0.1'])
  const egress = createEgress({ ...strict, clock: systemClock, resolve })
  const hosts = [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '127.1',
    '[::ffff:7f00:1]',
    '0.0.0.0',
    'localhost',
  ]
  for (const host of [...hosts, 'evil.example', 'metadata.google.internal']) {
    await assert.rejects(
      egress.fetch(`http://${host}:${port}/`),
      (error: unknown) => error instanceof AddressRefused && error.code === 'ECONNREFUSED_SSRF',
      host,
    )
  }
  assert.equal(upstream.connections, 0)
  await egress.close()
  await upstream.close()
})

test('guard: a connection goes to the address that was checked, and the name is in the host header', async () => {
  const upstream = await createFakeUpstream()
  const { port } = new URL(upstream.url)
  // A name that changes its mind: were it resolved twice, the second answer would be used.
  const { resolve, asked } = resolver(['127.0.0.1'], ['127.0.0.2'])
  const egress = createEgress({ allowLoopback: true, clock: systemClock, resolve })
  const response = await egress.fetch(`http://rebinding.example:${port}/`)
  assert.equal(response.status, 200)
  assert.deepEqual(asked, ['rebinding.example'])
  assert.equal(upstream.requests[0]?.headers.host, `rebinding.example:${port}`)
  await egress.close()
  await upstream.close()
})

test('guard: a name is resolved anew for a new connection and judged anew', async () => {
  const upstream = await createFakeUpstream()
  upstream.always({ headers: ['connection', 'close'], body: '{}' })
  const { port } = new URL(upstream.url)
  const { resolve, asked } = resolver(['127.0.0.1'], ['169.254.169.254'])
  const egress = createEgress({ allowLoopback: true, clock: systemClock, resolve })
  const url = `http://rebinding.example:${port}/`
  assert.equal((await egress.fetch(url)).status, 200)
  await assert.rejects(egress.fetch(url), { code: 'ECONNREFUSED_SSRF' })
  assert.equal(asked.length, 2)
  await egress.close()
  await upstream.close()
})

test('guard: an upstream whose name moves is found at its new address, without a restart', async (t) => {
  const old = await createFakeUpstream()
  t.after(() => old.close())
  const port = Number(new URL(old.url).port)
  const moved = createHttpServer((_request, response) => response.end('{"at":"new"}'))
  moved.listen(port, '127.0.0.2')
  await once(moved, 'listening')
  let address = '127.0.0.1'
  const resolve: Resolve = (_hostname, _options, done) => done(null, [{ address, family: 4 }])
  const egress = createEgress({ allowLoopback: true, clock: systemClock, resolve })
  t.after(async () => {
    await egress.close()
    moved.close()
  })
  const { upstream } = createAnthropicAt(`http://api.example:${port}`, { egress })
  const ask = async (): Promise<string> => {
    const result = await upstream.send(createAsk(), 'm')
    assert.ok(result.kind === 'answered', JSON.stringify(result))
    return readBody(result.answer.body)
  }
  assert.doesNotMatch(await ask(), /new/)
  address = '127.0.0.2'
  // The old machine goes, and its connections with it: after a moment this side knows.
  await old.close()
  await sleep(50)
  assert.equal(await ask(), '{"at":"new"}')
})

test('guard: the next address is tried when one of a name does not answer', async () => {
  const upstream = await createFakeUpstream()
  const { port } = new URL(upstream.url)
  // Nothing listens on 127.0.0.99.
  const { resolve } = resolver(['127.0.0.99', '127.0.0.1'])
  const egress = createEgress({ allowLoopback: true, clock: systemClock, resolve })
  assert.equal((await egress.fetch(`http://two.example:${port}/`)).status, 200)
  await egress.close()
  await upstream.close()
})

test('guard: the metadata probe tells a listening address from a closed and from a silent one', async () => {
  const server = createServer((socket) => socket.destroy())
  const port = await listen(server)
  assert.equal(await metadataReachable(systemClock, '127.0.0.1', port), true)
  server.close()
  await once(server, 'close')
  assert.equal(await metadataReachable(systemClock, '127.0.0.1', port), false)

  const clock = createFakeClock()
  // TEST-NET-1: routed nowhere, or refused at once where there is no route at all.
  const probe = metadataReachable(clock, '192.0.2.1', 80)
  await clock.advance(1_000)
  assert.equal(await probe, false)
})
