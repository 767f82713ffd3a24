import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { createEgress, type EgressOptions } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import type { Resolve } from '../../lib/egress/guard.ts'
import { readProxies } from '../../lib/egress/proxy-environment.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeUpstream, messageEvents } from '../support/fake-upstream.ts'
import {
  createForwardProxy,
  type ForwardProxy,
  type ForwardProxyOptions,
} from '../support/forward-proxy.ts'
import { listen } from '../support/listen.ts'

const folder = `${import.meta.dirname}/../fixtures/store/tls`
const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')

interface Bench {
  readonly proxy: ForwardProxy
  /** An egress through the proxy. */
  readonly open: (changes?: Partial<EgressOptions>, noProxy?: string) => Egress
}

async function withProxy(
  options: ForwardProxyOptions,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const proxy = await createForwardProxy(options)
  const opened: Egress[] = []
  const open: Bench['open'] = (changes = {}, noProxy = '') => {
    const { proxies } = readProxies({ HTTPS_PROXY: proxy.url, NO_PROXY: noProxy })
    const egress = createEgress({ allowLoopback: false, clock: systemClock, proxies, ...changes })
    opened.push(egress)
    return egress
  }
  try {
    await work({ proxy, open })
  } finally {
    await Promise.all(opened.map((egress) => egress.close()))
    await proxy.close()
  }
}

/** An HTTPS server for `localhost` and 127.0.0.1 that tells which name it was asked for. */
async function withOrigin(work: (port: number) => Promise<void>): Promise<void> {
  const options = { cert: read('here.crt'), key: read('server.key') }
  const server = createServer(options, (request, response) => response.end(request.headers.host))
  const port = await listen(server)
  try {
    await work(port)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** Every name has these addresses; what was asked is kept. */
function resolver(...addresses: string[]): { resolve: Resolve; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    resolve(hostname, _options, done) {
      asked.push(hostname)
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    },
  }
}

const ca = read('ca.crt')

test('proxy: a name is resolved and checked here, and the proxy is given the address', () =>
  withOrigin((port) =>
    withProxy({ resolve: () => ({ host: '127.0.0.1', port }) }, async ({ proxy, open }) => {
      const { resolve, asked } = resolver('127.0.0.1', '10.0.0.7')
      const egress = open({ resolve, ca })
      const response = await egress.fetch('https://localhost/')
      // TLS inside the tunnel is with the origin, by its name.
      assert.equal(await response.text(), 'localhost')
      assert.deepEqual(proxy.targets, ['10.0.0.7:443'])
      assert.deepEqual(asked, ['localhost'])
      assert.deepEqual(proxy.others, [])
    }),
  ))

test('proxy: a name may be the proxy’s to resolve, and is not resolved here at all', () =>
  withOrigin((port) =>
    withProxy({ resolve: () => ({ host: '127.0.0.1', port }) }, async ({ proxy, open }) => {
      const { resolve, asked } = resolver('10.0.0.7')
      const egress = open({ resolve, ca, resolvedBy: 'proxy', allowLoopback: true })
      const response = await egress.fetch('https://localhost/')
      assert.equal(await response.text(), 'localhost')
      assert.deepEqual(proxy.targets, ['localhost:443'])
      assert.deepEqual(asked, [])
    }),
  ))

test('proxy: the certificate inside the tunnel must be for the name', () =>
  withOrigin((port) =>
    withProxy({ resolve: () => ({ host: '127.0.0.1', port }) }, async ({ open }) => {
      const egress = open({ resolve: resolver('10.0.0.7').resolve, ca, resolvedBy: 'proxy' })
      await assert.rejects(egress.fetch('https://elsewhere.example/'), {
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      })
      const untrusting = open({ resolvedBy: 'proxy', allowLoopback: true })
      await assert.rejects(untrusting.fetch('https://localhost/'), {
        code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      })
    }),
  ))

test('proxy: plain http goes through a tunnel too, and connections are used again', async (t) => {
  const upstream = await createFakeUpstream()
  t.after(() => upstream.close())
  upstream.always({ body: 'ok' })
  const port = Number(new URL(upstream.url).port)
  await withProxy({ resolve: () => ({ host: '127.0.0.1', port }) }, async ({ proxy, open }) => {
    const egress = open({ resolve: resolver('10.0.0.7').resolve })
    for (let i = 0; i < 8; i++) {
      const response = await egress.fetch('http://collector.example:4318/v1/logs?x=1')
      assert.equal(await response.text(), 'ok')
    }
    // A request that comes before the last one's connection is free opens another.
    assert.ok(proxy.targets.length < 8)
    assert.ok(proxy.targets.every((target) => target === '10.0.0.7:4318'))
    const request = await upstream.request(2)
    assert.equal(request.url, '/v1/logs?x=1')
    assert.equal(request.headers.host, 'collector.example:4318')
    assert.equal(request.headers['proxy-authorization'], undefined)
  })
})

test('proxy: hosts in NO_PROXY are reached directly, and still guarded', async (t) => {
  const upstream = await createFakeUpstream()
  t.after(() => upstream.close())
  upstream.always({ body: 'ok' })
  const { port } = new URL(upstream.url)
  await withProxy({}, async ({ proxy, open }) => {
    const { resolve } = resolver('127.0.0.1')
    const direct = open({ resolve, allowLoopback: true }, '.example.com')
    const response = await direct.fetch(`http://near.example.com:${port}/`)
    assert.equal(await response.text(), 'ok')
    const guarded = open({ resolve, resolvedBy: 'proxy' }, '.example.com')
    await assert.rejects(guarded.fetch(`http://near.example.com:${port}/`), {
      code: 'ECONNREFUSED_SSRF',
    })
    assert.deepEqual(proxy.targets, [])
  })
})

test('proxy: forbidden hosts are refused before the proxy hears of them', () =>
  withProxy({}, async ({ proxy, open }) => {
    const checked = open({ resolve: resolver('169.254.169.254', '::1', '64:ff9b::7f00:1').resolve })
    const unresolved = open({ resolvedBy: 'proxy' })
    const always = [
      '169.254.169.254',
      '[::ffff:169.254.169.254]',
      '[64:ff9b::a9fe:a9fe]',
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '[::1]',
      '0.0.0.0',
      'metadata.google.internal',
    ]
    for (const host of [...always, 'rebound.example']) {
      await assert.rejects(checked.fetch(`https://${host}/`), { code: 'ECONNREFUSED_SSRF' }, host)
    }
    const local = [
      'localhost',
      'LOCALHOST.',
      'a.localhost',
      'ip6-localhost',
      'localhost.localdomain',
    ]
    for (const host of [...always, ...local]) {
      await assert.rejects(
        unresolved.fetch(`https://${host}/`),
        { code: 'ECONNREFUSED_SSRF' },
        host,
      )
    }
    assert.deepEqual(proxy.targets, [])
  }))

test('proxy: a name that does not resolve here never reaches the proxy', () =>
  withProxy({}, async ({ proxy, open }) => {
    const egress = open({
      resolve: (_hostname, _options, done) =>
        done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []),
    })
    await assert.rejects(egress.fetch('https://nowhere.example/'), { code: 'ENOTFOUND' })
    assert.deepEqual(proxy.targets, [])
  }))

test('proxy: the next address is asked for when the proxy cannot reach one', () =>
  withOrigin((port) => {
    const options: ForwardProxyOptions = {
      answer: (target) => (target.startsWith('[') ? 503 : null),
      resolve: () => ({ host: '127.0.0.1', port }),
    }
    return withProxy(options, async ({ proxy, open }) => {
      const egress = open({ resolve: resolver('fd00::7', '10.0.0.7').resolve, ca })
      assert.equal((await egress.fetch('https://localhost/')).status, 200)
      assert.deepEqual(proxy.targets, ['[fd00::7]:443', '10.0.0.7:443'])
    })
  }))

test('proxy: a refusal is final, never followed by another address or a direct connection', () =>
  withProxy({ answer: () => 403 }, async ({ proxy, open }) => {
    const egress = open({ resolve: resolver('10.0.0.7', '10.0.0.8').resolve })
    await assert.rejects(egress.fetch('https://api.example.com/'), {
      code: 'EPROXY',
      message: /does not allow this connection: 403 \(CONNECT 10\.0\.0\.7:443\)/,
    })
    assert.deepEqual(proxy.targets, ['10.0.0.7:443'])
  }))

test('proxy: a proxy that can reach no address is asked for three of them', () =>
  withProxy({ answer: () => 502 }, async ({ proxy, open }) => {
    const { resolve } = resolver('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4')
    await assert.rejects(open({ resolve }).fetch('https://api.example.com/'), { code: 'EPROXY' })
    assert.deepEqual(proxy.targets, ['10.0.0.1:443', '10.0.0.2:443', '10.0.0.3:443'])
  }))

test('proxy: a request that is given up while the proxy hangs ends at once', () =>
  withProxy({ answer: () => 'hang' }, async ({ open }) => {
    const egress = open({ resolvedBy: 'proxy' })
    const stop = new AbortController()
    const asked = egress.request({
      method: 'GET',
      url: new URL('https://api.example.com/'),
      headers: [],
      signal: stop.signal,
      headTimeoutMs: 60_000,
      bodySilenceMs: 60_000,
    })
    stop.abort(new Error('the client left'))
    await assert.rejects(asked, { message: 'the client left' })
  }))

test('proxy: streams through tunnels arrive whole beside others that are cut, and all end', async (t) => {
  const upstream = await createFakeUpstream()
  t.after(() => upstream.close())
  const events = messageEvents('Hello wörld', 40).join('')
  upstream.always({ headers: ['content-type', 'text/event-stream'], body: events })
  const port = Number(new URL(upstream.url).port)
  await withProxy({ resolve: () => ({ host: '127.0.0.1', port }) }, async ({ open }) => {
    const egress = open({ resolvedBy: 'proxy' })
    const one = async (index: number): Promise<string> => {
      const stop = new AbortController()
      const response = await egress.request({
        method: 'POST',
        url: new URL('http://api.example.com/v1/messages'),
        headers: [],
        body: '{}',
        signal: stop.signal,
        headTimeoutMs: 60_000,
        bodySilenceMs: 60_000,
      })
      if (index % 3 === 0) {
        await response.body.cancel()
        return events
      }
      return new Response(response.body).text()
    }
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(Array.from({ length: 24 }, (_, index) => one(index)))
      assert.ok(answers.every((answer) => answer === events))
    }
  })
})
