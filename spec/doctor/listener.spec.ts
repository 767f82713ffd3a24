import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createPlain, type RequestListener } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createAuthority } from '../support/certificates.ts'
import { askDoctor, assertOk, assertProblem } from '../support/doctor.ts'
import { freePort } from '../support/gateway.ts'

const authority = createAuthority({ after })
const folder = mkdtempSync(join(tmpdir(), 'listener-spec-'))
after(() => rmSync(folder, { recursive: true }))

async function serve(server: Server): Promise<number> {
  const port = await freePort()
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  after(() => void server.close())
  return port
}

/** A front that answers every request the same way. */
const answer =
  (status: number, body: string): RequestListener =>
  (_, response) =>
    response.writeHead(status).end(body)

function askAt(port: number, scheme = 'http', tls?: object): ReturnType<typeof askDoctor> {
  const public_url = `${scheme}://localhost:${port}`
  return askDoctor({
    config: { listen: { host: '127.0.0.1', port, public_url, ...(tls && { tls }) } },
  })
}

test('doctor listener: a port that another program has fails with the way to find it', async () => {
  const port = await serve(createPlain(answer(404, 'something else')))
  const findings = await askAt(port)
  assertProblem(findings, 'listener port', {
    result: 'fail',
    seen: /taken by another program/,
    fix: new RegExp(`ss -ltnp shows which one listens on ${port}`),
  })
  assertProblem(findings, 'public_url as served', {
    result: 'fail',
    seen: /404 and no discovery document/,
    fix: /forward every path unchanged/,
  })
})

test('doctor listener: an address of another machine cannot be bound', async () => {
  const findings = await askDoctor({
    config: { listen: { host: '192.0.2.1', port: 8080, public_url: 'http://localhost:9' } },
  })
  assertProblem(findings, 'listener port', {
    result: 'fail',
    seen: /EADDRNOTAVAIL/,
    fix: /an address of this machine, or to 0\.0\.0\.0/,
  })
})

test('doctor listener: a proxy without a gateway behind it is told from a wrong one', async () => {
  const findings = await askAt(await serve(createPlain(answer(502, 'Bad Gateway'))))
  assertProblem(findings, 'public_url as served', {
    result: 'warn',
    seen: /502: the proxy in front has no gateway/,
    fix: /address that the proxy forwards to/,
  })
})

test('doctor listener: a gateway with another public_url is named', async () => {
  const body = JSON.stringify({ issuer: 'https://old.example.com' })
  const findings = await askAt(await serve(createPlain(answer(200, body))))
  assertProblem(findings, 'public_url as served', {
    result: 'fail',
    seen: /calls itself https:\/\/old\.example\.com/,
    fix: /set listen\.public_url of that gateway to http:\/\/localhost/,
  })
})

test('doctor listener: a certificate that is served for another name fails', async () => {
  const pair = authority.issue('DNS:other.example.com')
  const findings = await askAt(await serve(createSecure(pair, answer(502, ''))), 'https')
  assertProblem(findings, 'public_url certificate', {
    result: 'fail',
    seen: /other\.example\.com, not for localhost/,
    fix: /include localhost/,
  })
})

test('doctor listener: an authority that this machine does not know warns', async () => {
  const pair = authority.issue('DNS:localhost')
  const findings = await askAt(await serve(createSecure(pair, answer(502, ''))), 'https')
  assertProblem(findings, 'public_url certificate', {
    result: 'warn',
    seen: /does not trust it: UNABLE_TO/,
    fix: /whole chain.*NODE_EXTRA_CA_CERTS/,
  })
})

function writePair(name: string, { cert, key }: { cert: string; key: string }): object {
  const paths = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  writeFileSync(paths.cert, cert)
  writeFileSync(paths.key, key)
  return paths
}

test('doctor listener: the files of listen.tls are judged for name and chain', async () => {
  const port = await freePort()
  const pair = authority.issue('DNS:localhost')
  assertProblem(await askAt(port, 'https', writePair('alone', pair)), 'listen.tls certificate', {
    result: 'warn',
    seen: /CN=Spec-Intermediate is missing from the chain/,
    fix: /append/,
  })
  const whole = { ...pair, cert: pair.cert + authority.intermediate }
  assertOk(
    await askAt(port, 'https', writePair('whole', whole)),
    'listen.tls certificate',
    /localhost/,
  )
  const other = authority.issue('DNS:other.example.com')
  assertProblem(await askAt(port, 'https', writePair('other', other)), 'listen.tls certificate', {
    result: 'fail',
    seen: /not for localhost/,
    fix: /other\.crt/,
  })
})
