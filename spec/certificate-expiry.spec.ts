import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { watchExpiry } from '../lib/certificate-expiry.ts'
import { createLog } from '../lib/kernel/log.ts'
import { createFakeClock } from './support/fake-clock.ts'

const dayMs = 86_400_000
const read = (path: string): X509Certificate =>
  new X509Certificate(readFileSync(`${import.meta.dirname}/fixtures/${path}`))
/** Ends on 2036-11-20. */
const near = read('pem/rsa.crt.pem')
const far = read('http/one.cert.pem')

function watch(start: string) {
  const clock = createFakeClock(Date.parse(start))
  const lines: string[] = []
  const { log } = createLog('info', (line) => lines.push(line.trimEnd()), clock)
  let current = near
  const timer = watchExpiry(
    [
      { key: 'listen.tls.cert', current: () => current },
      { key: 'oidc.client_assertion.certificate_pem', current: () => far },
    ],
    clock,
    log,
  )
  return { clock, lines, timer, renew: () => (current = far) }
}

test('expiry: silent until 30 days before the end, then a warning every day, loud after it', async () => {
  const { clock, lines } = watch('2036-10-15T00:00:00Z')
  await clock.advance(6 * dayMs)
  assert.deepEqual(lines, [])
  await clock.advance(dayMs)
  assert.match(
    lines.join(),
    / warn listen\.tls\.cert: the certificate expires on 2036-11-20, in 29/,
  )
  await clock.advance(29 * dayMs)
  assert.equal(lines.length, 30)
  await clock.advance(2 * dayMs)
  assert.match(lines.at(-1) ?? '', / warn listen\.tls\.cert: THE CERTIFICATE EXPIRED on 2036-11-20/)
})

test('expiry: a renewed certificate is warned of no more, and nothing is after the end', async () => {
  const { clock, lines, renew, timer } = watch('2036-11-01T00:00:00Z')
  await clock.advance(dayMs)
  assert.equal(lines.length, 1)
  renew()
  await clock.advance(5 * dayMs)
  assert.equal(lines.length, 1)
  timer.cancel()
})
