import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { keepCertificates } from '../lib/certificates.ts'
import type { Certificate } from '../lib/http/node-server.ts'
import { createLog } from '../lib/kernel/log.ts'
import { createFakeClock } from './support/fake-clock.ts'

const dayMs = 86_400_000
const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8')
/** Ends on 2036-11-20. */
const near = { cert: read('pem/rsa.crt.pem'), key: read('pem/rsa.key.pem') }
const far = { cert: read('http/one.cert.pem'), key: read('http/one.key.pem') }

function createParts(initial: Certificate | undefined) {
  const clock = createFakeClock(Date.parse('2036-11-10T00:00:00Z'))
  const lines: string[] = []
  const { log } = createLog('info', (line) => lines.push(line.trimEnd()), clock)
  const installed: Certificate[] = []
  const install = (certificate: Certificate): void => void installed.push(certificate)
  return { clock, lines, installed, parts: { initial, install, clock, log } }
}

test('certificates: the listener’s follows its files, and the warnings follow it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const tls = { cert: join(folder, 'c'), key: join(folder, 'k') }
  const { clock, lines, installed, parts } = createParts(near)
  const certificates = keepCertificates({ listen: { tls } }, parts)
  writeFileSync(tls.cert, near.cert)
  writeFileSync(tls.key, near.key)
  await clock.advance(dayMs)
  assert.match(lines.join('\n'), / warn listen\.tls\.cert: the certificate expires on 2036-11-20/)
  writeFileSync(tls.cert, far.cert)
  writeFileSync(tls.key, far.key)
  await certificates.reload()
  assert.deepEqual(
    installed.map(({ cert }) => cert),
    [far.cert],
  )
  const before = lines.filter((line) => line.includes(' warn ')).length
  await clock.advance(3 * dayMs)
  assert.equal(lines.filter((line) => line.includes(' warn ')).length, before)
  certificates.stop()
})

test('certificates: the one that the gateway shows the provider is watched too', async () => {
  const { clock, lines, parts } = createParts(undefined)
  const oidc = { client_assertion: { certificate_pem: near.cert } }
  const certificates = keepCertificates({ listen: {}, oidc }, parts)
  await clock.advance(dayMs)
  assert.match(
    lines.join(),
    / warn oidc\.client_assertion\.certificate_pem: the certificate expires/,
  )
  certificates.stop()
  await clock.advance(5 * dayMs)
  assert.equal(lines.length, 1)
})

test('certificates: without any there is nothing to look at', async () => {
  const { clock, lines, parts } = createParts(undefined)
  const certificates = keepCertificates({ listen: {} }, parts)
  await certificates.reload()
  await clock.advance(2 * dayMs)
  assert.deepEqual(lines, [])
  certificates.stop()
})
