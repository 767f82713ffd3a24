import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createPlain } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { Server } from 'node:net'
import { after, test } from 'node:test'
import { askAsClient } from '../../lib/doctor/client-view.ts'
import { createAuthority } from '../support/certificates.ts'

const authority = createAuthority({ after })
const pair = authority.issue('DNS:localhost')
const never = new AbortController().signal

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  after(() => void server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

test('doctor client view: a certificate that is not trusted is shown, not insisted on', async () => {
  const port = await listen(createSecure(pair, (_, response) => response.end('hello')))
  const view = await askAsClient(new URL(`https://127.0.0.1:${port}/`), never)
  assert.equal(view.status, 200)
  assert.equal(view.body, 'hello')
  assert.match(view.certificate?.subjectAltName ?? '', /localhost/)
  assert.match(view.distrust ?? '', /UNABLE_TO|SELF_SIGNED/)
})

test('doctor client view: plain http has no certificate and redirects are not followed', async () => {
  const port = await listen(
    createPlain((_, response) => response.writeHead(301, { location: 'http://x/' }).end()),
  )
  const view = await askAsClient(new URL(`http://127.0.0.1:${port}/`), never)
  assert.deepEqual(
    { ...view, body: '' },
    { status: 301, certificate: null, distrust: null, body: '' },
  )
})

test('doctor client view: a body without an end is left', async () => {
  const port = await listen(
    createPlain((_, response) => {
      const timer = setInterval(() => response.write('x'.repeat(32_768)), 1)
      response.on('close', () => clearInterval(timer))
    }),
  )
  const view = await askAsClient(new URL(`http://127.0.0.1:${port}/`), never)
  assert.ok(view.body.length > 65_536 && view.body.length < 1_000_000)
})

test('doctor client view: a server that says nothing is left when the time is over', async () => {
  const server = createPlain(() => {})
  const port = await listen(server)
  const limit = new AbortController()
  const asked = askAsClient(new URL(`http://127.0.0.1:${port}/`), limit.signal)
  await once(server, 'request')
  limit.abort()
  await assert.rejects(asked)
  server.closeAllConnections()
})
