import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { bind, createNodeServer } from '../../lib/http/node-server.ts'
import { request, withGateway } from './gateway-under-test.ts'

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/http/${name}`, import.meta.url))
const one = { cert: fixture('one.cert.pem'), key: fixture('one.key.pem') }
const two = { cert: fixture('two.cert.pem'), key: fixture('two.key.pem') }

async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

async function ask(socket: TLSSocket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  socket.write(request('GET', '/healthz', 'Connection: close'))
  await once(socket, 'close')
  return text
}

test('node server: every bound of the transport is set', async () => {
  const server = createNodeServer(() => {}, undefined)
  assert.equal(server.headersTimeout, 30_000)
  assert.equal(server.requestTimeout, 660_000)
  assert.equal(server.keepAliveTimeout, 75_000)
  assert.equal(server.maxHeadersCount, 257)
  assert.equal(server.maxConnections, 10_000)
  assert.equal(server.timeout, 0)
  const port = await bind(server, '127.0.0.1', 0)
  assert.ok(port > 0)
  server.close()
})

test('node server: a port that is taken is an error that says so', async () => {
  await withGateway({}, async ({ port }) => {
    await assert.rejects(
      withGateway({ port }, () => Promise.resolve()),
      new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: the port is taken .*EADDRINUSE`),
    )
  })
})

test('node server: a host that is none is an error that says so', async () => {
  const server = createNodeServer(() => {}, undefined)
  await assert.rejects(bind(server, 'no-such-host.invalid', 0), /cannot listen on no-such-host/)
  await assert.rejects(
    bind(
      createNodeServer(() => {}, undefined),
      '203.0.113.1',
      0,
    ),
    /no such address on this machine \(EADDRNOTAVAIL\)/,
  )
})

test('node server: with a certificate it speaks TLS 1.2 and 1.3, and says HSTS', async () => {
  await withGateway({ tls: one }, async ({ port }) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await handshake(port, { minVersion: version, maxVersion: version })
      assert.equal(socket.getProtocol(), version)
      const reply = await ask(socket)
      assert.match(reply, /^HTTP\/1\.1 200 OK\r\n/)
      assert.match(
        reply,
        /Cross-Origin-Opener-Policy: same-origin\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\nx-request-id: /,
      )
    }
  })
})

test('node server: older TLS is refused', async () => {
  await withGateway({ tls: one }, async ({ port }) => {
    const old = {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const
    await assert.rejects(handshake(port, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
    await ask(await handshake(port))
  })
})

test('node server: HTTP/1.1 is all that TLS clients can agree on', async () => {
  await withGateway({ tls: one }, async ({ port }) => {
    const both = await handshake(port, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.equal(both.alpnProtocol, 'http/1.1')
    both.destroy()
    const none = await handshake(port)
    assert.equal(none.alpnProtocol, false)
    none.destroy()
  })
})

test('node server: plain HTTP on a TLS port is closed without a byte', async () => {
  await withGateway({ tls: one }, async ({ port }) => {
    const socket = connect(port, '127.0.0.1')
    const received: Buffer[] = []
    socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => {})
    socket.write(request('GET', '/healthz'))
    await once(socket, 'close')
    assert.equal(Buffer.concat(received).toString(), '')
  })
})

test('node server: abuse inside TLS is answered inside TLS', async () => {
  await withGateway({ tls: one }, async ({ port }) => {
    const socket = await handshake(port)
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.write('garbage\r\n\r\n')
    await once(socket, 'close')
    assert.equal(text, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  })
})

test('node server: a new certificate serves new connections and leaves open ones alone', async () => {
  await withGateway({ tls: one }, async ({ port, server }) => {
    const before = await handshake(port)
    assert.equal(before.getPeerCertificate().subject.CN, 'one.gateway.test')
    server.setCertificate(two)
    const after = await handshake(port)
    assert.equal(after.getPeerCertificate().subject.CN, 'two.gateway.test')
    after.destroy()
    assert.match(await ask(before), /^HTTP\/1\.1 200 OK/)
    const old = {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const
    await assert.rejects(handshake(port, old))
  })
})

test('node server: a certificate that does not fit its key is refused and changes nothing', async () => {
  await withGateway({ tls: one }, async ({ port, server }) => {
    assert.throws(
      () => server.setCertificate({ cert: one.cert, key: two.key }),
      /key values mismatch/,
    )
    const socket = await handshake(port)
    assert.equal(socket.getPeerCertificate().subject.CN, 'one.gateway.test')
    socket.destroy()
  })
})
