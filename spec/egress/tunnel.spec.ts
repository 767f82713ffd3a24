import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { ForwardProxy } from '../../lib/egress/proxy-environment.ts'
import { readProxies } from '../../lib/egress/proxy-environment.ts'
import { openTunnel, ProxyFailure } from '../../lib/egress/tunnel.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createForwardProxy, type ForwardProxyOptions } from '../support/forward-proxy.ts'
import { freePort } from '../support/gateway.ts'
import { listen } from '../support/listen.ts'

const folder = `${import.meta.dirname}/../fixtures/store/tls`
const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')
const tls = { cert: read('here.crt'), key: read('server.key') }

function parse(url: string): ForwardProxy {
  const { proxies } = readProxies({ HTTPS_PROXY: url })
  assert.ok(proxies?.https)
  return proxies.https
}

/** A server that says back what it hears, in capitals. */
async function withEcho(work: (port: number) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on('data', (bytes) => socket.write(bytes.toString().toUpperCase()))
    socket.on('error', () => socket.destroy())
  })
  const port = await listen(server)
  try {
    await work(port)
  } finally {
    server.close()
  }
}

async function failureOf(options: ForwardProxyOptions, target = '10.0.0.7'): Promise<ProxyFailure> {
  const proxy = await createForwardProxy(options)
  try {
    const url = proxy.url.replace('//', '//user:hunter2@')
    await openTunnel(parse(url), { host: target, port: 443 }, systemClock)
    return assert.fail('the tunnel opened')
  } catch (error) {
    assert.ok(error instanceof ProxyFailure)
    assert.equal(error.code, 'EPROXY')
    assert.ok(error.message.includes(`the proxy ${proxy.url} `), error.message)
    assert.doesNotMatch(JSON.stringify(error) + error.stack, /hunter2|dXNlcjpodW50ZXIy/)
    return error
  } finally {
    await proxy.close()
  }
}

test('tunnel: bytes go both ways, and the proxy is told where to, with its credentials', () =>
  withEcho(async (port) => {
    const proxy = await createForwardProxy({ credentials: 'us er:p@ss:1' })
    const url = proxy.url.replace('//', '//us%20er:p%40ss%3A1@')
    const socket = await openTunnel(parse(url), { host: '127.0.0.1', port }, systemClock)
    socket.write('hello')
    const [answer] = await once(socket, 'data')
    assert.equal(String(answer), 'HELLO')
    assert.deepEqual(proxy.targets, [`127.0.0.1:${port}`])
    assert.equal(proxy.headers[0]?.host, `127.0.0.1:${port}`)
    socket.destroy()
    await proxy.close()
  }))

test('tunnel: the connection to the proxy itself can be TLS, verified by the proxy’s name', () =>
  withEcho(async (port) => {
    const proxy = await createForwardProxy({ tls })
    const where = { host: '127.0.0.1', port }
    await assert.rejects(openTunnel(parse(proxy.url), where, systemClock), {
      code: 'EPROXY',
      message: /failed to connect to 127\.0\.0\.1:\d+: UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
    })
    const usual = getCACertificates('default')
    setDefaultCACertificates([read('ca.crt')])
    const socket = await openTunnel(parse(proxy.url), where, systemClock)
    socket.write('hello')
    const [answer] = await once(socket, 'data')
    assert.equal(String(answer), 'HELLO')
    socket.destroy()
    setDefaultCACertificates(usual)
    await proxy.close()
  }))

test('tunnel: an IPv6 address is written in brackets', async () => {
  const proxy = await createForwardProxy({ answer: () => 503 })
  await assert.rejects(openTunnel(parse(proxy.url), { host: 'fd00::7', port: 443 }, systemClock))
  assert.deepEqual(proxy.targets, ['[fd00::7]:443'])
  await proxy.close()
})

test('tunnel: what the proxy refuses is said with its status', async () => {
  const wanted = await failureOf({ credentials: 'other:word' })
  assert.equal(wanted.status, 407)
  assert.match(wanted.message, /wants other credentials than its variable has: 407 \(CONNECT 10\.0/)
  const forbidden = await failureOf({ answer: () => 403 })
  assert.match(forbidden.message, /does not allow this connection: 403/)
  for (const status of [302, 400, 500, 502, 504]) {
    const failure = await failureOf({ answer: () => status })
    assert.equal(failure.status, status)
    assert.match(failure.message, new RegExp(`refused the connection: ${status}`))
  }
})

test('tunnel: a proxy that cuts the connection, or answers with a page, is a failure', async () => {
  assert.match((await failureOf({ answer: () => 'cut' })).message, /ECONNRESET/)
  assert.match((await failureOf({ answer: () => 'page' })).message, /sent something else/)
})

test('tunnel: a proxy that is not there is named', async () => {
  const port = await freePort()
  const proxy = parse(`http://user:hunter2@127.0.0.1:${port}`)
  await assert.rejects(openTunnel(proxy, { host: 'api.example.com', port: 443 }, systemClock), {
    message: `the proxy http://127.0.0.1:${port} failed to connect to api.example.com:443: ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:${port}`,
  })
})

test('tunnel: a proxy that never answers is waited for eight seconds', async () => {
  const clock = createFakeClock()
  const proxy = await createForwardProxy({ answer: () => 'hang' })
  const opening = openTunnel(parse(proxy.url), { host: 'api.example.com', port: 443 }, clock)
  const failed = assert.rejects(opening, {
    code: 'EPROXY',
    message: /did not connect to api\.example\.com:443 within 8000 ms/,
  })
  await clock.advance(8_000)
  await failed
  await proxy.close()
})

test('tunnel: an answer of endless headers is cut', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.write('HTTP/1.1 200 OK\r\n')
    socket.write(`x-pad: ${'x'.repeat(64 * 1024)}\r\n\r\n`)
  })
  const port = await listen(server)
  const proxy = parse(`http://127.0.0.1:${port}`)
  await assert.rejects(openTunnel(proxy, { host: 'h', port: 443 }, systemClock), {
    code: 'EPROXY',
    message: /HPE_HEADER_OVERFLOW/,
  })
  server.close()
})
