import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer as createPlain } from 'node:http'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Resolve } from '../../lib/egress/guard.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { listen } from '../support/listen.ts'

const folder = `${import.meta.dirname}/../fixtures/store/tls`
const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')

interface Seen {
  readonly servername: string | false | null
  readonly alpn: string | false | null
}

/** A server whose certificate is for localhost and 127.0.0.1, or for another host. */
async function withServer(
  certificate: 'here.crt' | 'elsewhere.crt',
  work: (port: number, seen: Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = []
  const options = {
    cert: read(certificate),
    key: read('server.key'),
    ALPNProtocols: ['h2', 'http/1.1'],
  }
  const server = createServer(options, (_request, response) => response.end('{}'))
  server.on('secureConnection', (socket: TLSSocket & { servername?: string | false | null }) => {
    seen.push({ servername: socket.servername ?? null, alpn: socket.alpnProtocol })
  })
  const port = await listen(server)
  try {
    await work(port, seen)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const toLoopback: Resolve = (_hostname, _options, done) =>
  done(null, [{ address: '127.0.0.1', family: 4 }])

const create = () => createEgress({ allowLoopback: true, clock: systemClock, resolve: toLoopback })

test('tls: a certificate nobody vouches for is refused before anything is sent', () =>
  withServer('here.crt', async (port) => {
    const egress = create()
    await assert.rejects(egress.fetch(`https://localhost:${port}/`), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.match(
        String(error.code),
        /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/,
      )
      return true
    })
    await egress.close()
  }))

test('tls: with its authority trusted the name is sent, verified, and HTTP/1.1 spoken', () =>
  withServer('here.crt', async (port, seen) => {
    // What NODE_EXTRA_CA_CERTS does at start.
    setDefaultCACertificates([read('ca.crt')])
    const egress = create()
    assert.equal((await egress.fetch(`https://localhost:${port}/`)).status, 200)
    assert.deepEqual(seen, [{ servername: 'localhost', alpn: 'http/1.1' }])
    await egress.close()
  }))

test('tls: the certificate must be for the name, not for the address it resolved to', () =>
  withServer('here.crt', async (port) => {
    setDefaultCACertificates([read('ca.crt')])
    const egress = create()
    await assert.rejects(egress.fetch(`https://pinned.example:${port}/`), {
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    await egress.close()
  }))

test('tls: a certificate for another host is refused', () =>
  withServer('elsewhere.crt', async (port) => {
    setDefaultCACertificates([read('ca.crt')])
    const egress = create()
    await assert.rejects(egress.fetch(`https://localhost:${port}/`), {
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    await egress.close()
  }))

test('tls: a server that speaks no TLS is a failure, not a hang', async () => {
  const server = createPlain((_request, response) => response.end('{}'))
  const port = await listen(server)
  const egress = create()
  await assert.rejects(egress.fetch(`https://localhost:${port}/`), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error)
    assert.match(String(error.code), /SSL|EPROTO|ECONNRESET/)
    return true
  })
  await egress.close()
  server.close()
})
